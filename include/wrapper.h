/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What bindgen reads: the types of Kamailio's core, tm and sl that the edge names, the shim, and the ABI of
 * the hooks. Functions are not bound from here: many that these headers declare are macros or do not exist,
 * so every call by name is in shim.c, where the C compiler knows which. */
#ifndef STOX_WRAPPER_H
#define STOX_WRAPPER_H

#include "core/sr_module.h"
#include "core/counters.h"
#include "core/data_lump.h"
#include "core/kemi.h"
#include "core/pvar.h"
#include "core/rpc.h"
#include "modules/sl/sl.h"
#include "modules/tm/tm_load.h"

#include "shim.h"
#include "stox.h"

#endif
