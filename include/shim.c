/* SPDX-License-Identifier: GPL-2.0-or-later */

#include <string.h>

#include "core/sr_module.h"
#include "core/action.h"
#include "core/cfg/cfg_struct.h"
#include "core/counters.h"
#include "core/data_lump.h"
#include "core/data_lump_rpl.h"
#include "core/dprint.h"
#include "core/fmsg.h"
#include "core/kemi.h"
#include "core/mem/shm.h"
#include "core/pt.h"
#include "core/pvapi.h"
#include "core/pvar.h"
#include "core/receive.h"
#include "core/route.h"
#include "core/rpc.h"
#include "core/socket_info.h"
#include "core/parser/hf.h"
#include "core/parser/msg_parser.h"
#include "core/parser/parse_rr.h"
#include "core/parser/parse_to.h"
#include "modules/sl/sl.h"
#include "modules/tm/tm_load.h"

#include "shim.h"

/* Every symbol of Kamailio is a weak reference, so that the hooks of stox.h also load, and the tests link,
 * without Kamailio. include/check-symbols.sh sees that Kamailio has each of them. */
#pragma weak _km_log_func
#pragma weak _ksr_slog_func
#pragma weak _shm_root
#pragma weak add_lump_rpl2
#pragma weak cfg_block_size
#pragma weak cfg_child_cb
#pragma weak cfg_child_cb_first
#pragma weak cfg_child_cb_last
#pragma weak cfg_child_init
#pragma weak cfg_ginst_count
#pragma weak cfg_global
#pragma weak cfg_global_lock
#pragma weak cfg_group
#pragma weak cfg_local
#pragma weak cfg_move_handle
#pragma weak cfg_register_child
#pragma weak counter_register_array
#pragma weak del_lump
#pragma weak dprint_color
#pragma weak dprint_color_reset
#pragma weak dprint_crit
#pragma weak event_rt
#pragma weak faked_msg_get_new
#pragma weak find_export
#pragma weak find_si
#pragma weak fork_process
#pragma weak free_rr
#pragma weak free_sip_msg
#pragma weak get_debug_facility
#pragma weak get_debug_level
#pragma weak get_hdr_by_name
#pragma weak ksr_msg_env_reset
#pragma weak log_color
#pragma weak log_level_info
#pragma weak log_prefix_val
#pragma weak log_stderr
#pragma weak my_pid
#pragma weak parse_headers
#pragma weak parse_rr_body
#pragma weak process_no
#pragma weak pv_get_buffer
#pragma weak pv_get_buffer_size
#pragma weak pv_get_null
#pragma weak pv_get_strval
#pragma weak register_procs
#pragma weak route_lookup
#pragma weak route_type
#pragma weak run_top_route
#pragma weak sr_kemi_ctx_route
#pragma weak sr_kemi_eng_get
#pragma weak sr_kemi_modules_add
#pragma weak tcp_listen
#pragma weak tls_listen
#pragma weak udp_listen

int shim_log_prints(int level)
{
	return is_printable(level);
}

void shim_log(int level, const char *text, int length)
{
	LOG_FN(DEFAULT_FACILITY, level, "stox: ", "%.*s\n", length, text);
}

int shim_load_tm(struct tm_binds *tm)
{
	return load_tm_api(tm);
}

int shim_load_sl(struct sl_api *sl)
{
	return sl_load_api(sl);
}

int shim_register_processes(int count)
{
	if(register_procs(count) < 0)
		return -1;
	cfg_register_child(count);
	return 0;
}

int shim_fork_process(char *name)
{
	/* The last argument keeps the port able to send over TCP. */
	int pid = fork_process(PROC_RPC, name, 1);

	if(pid == 0 && cfg_child_init() != 0)
		return -1;
	return pid;
}

void shim_update_settings(void)
{
	cfg_update();
}

int shim_register_counters(const char *group, struct counter_def_s *counters)
{
	return counter_register_array(group, counters);
}

int shim_register_kemi(void *table)
{
	return sr_kemi_modules_add((sr_kemi_t *)table);
}

int shim_script_is_foreign(void)
{
	return sr_kemi_eng_get() != NULL;
}

static int run_callback(char *callback, char *event, sip_msg_t *message, struct run_act_ctx *context)
{
	str name = {callback, strlen(callback)};
	str data = {event, strlen(event)};

	return sr_kemi_ctx_route(sr_kemi_eng_get(), context, message, EVENT_ROUTE, &name, &data);
}

int shim_run_event(char *name, char *callback)
{
	struct run_act_ctx context;
	sip_msg_t message;
	int route = -1, before, result = 1;

	if(callback == NULL) {
		route = route_lookup(&event_rt, name);
		if(route < 0 || event_rt.rlist[route] == NULL)
			return 0;
	} else if(!shim_script_is_foreign()) {
		return -1;
	}
	if(faked_msg_get_new(&message) < 0)
		return -1;
	before = get_route_type();
	set_route_type(EVENT_ROUTE);
	init_run_actions_ctx(&context);
	if(callback == NULL)
		run_top_route(event_rt.rlist[route], &message, &context);
	else if(run_callback(callback, name, &message, &context) < 0)
		result = -1;
	set_route_type(before);
	free_sip_msg(&message);
	ksr_msg_env_reset();
	return result;
}

int shim_parse_headers(struct sip_msg *message)
{
	return parse_headers(message, HDR_EOH_F, 0);
}

int shim_find_header(struct sip_msg *message, const char *name, int name_length, int *offset, int *length,
		const char **value, int *value_length)
{
	struct hdr_field *field;

	/* Only what is parsed is searched. */
	if(shim_parse_headers(message) < 0)
		return 0;
	field = get_hdr_by_name(message, name, name_length);
	if(field == NULL)
		return 0;
	*offset = field->name.s - message->buf;
	*length = field->len;
	*value = field->body.s;
	*value_length = field->body.len;
	return 1;
}

int shim_delete(struct sip_msg *message, int offset, int length)
{
	return del_lump(message, offset, length, 0) == NULL ? -1 : 0;
}

int shim_add_reply_header(struct sip_msg *message, char *text, int length)
{
	return add_lump_rpl(message, text, length, LUMP_RPL_HDR) == NULL ? -1 : 0;
}

int shim_to_uri(struct sip_msg *message, const char **uri, int *length)
{
	if(parse_headers(message, HDR_TO_F, 0) < 0 || message->to == NULL || message->to->parsed == NULL)
		return 0;
	*uri = get_to(message)->uri.s;
	*length = get_to(message)->uri.len;
	return 1;
}

int shim_in_local_request(void)
{
	return get_route_type() == LOCAL_ROUTE;
}

int shim_from_own_address(struct sip_msg *message)
{
	return find_si(&message->rcv.src_ip, 0, PROTO_NONE) != NULL;
}

int shim_parse_routes(char *text, int length, struct rr **routes)
{
	return parse_rr_body(text, length, routes);
}

void shim_free_routes(struct rr **routes)
{
	free_rr(routes);
}

struct socket_info *shim_first_socket(unsigned int protocol)
{
	switch(protocol) {
		case PROTO_UDP:
			return udp_listen;
#ifdef USE_TCP
		case PROTO_TCP:
			return tcp_listen;
#endif
#ifdef USE_TLS
		case PROTO_TLS:
			return tls_listen;
#endif
	}
	return NULL;
}

void shim_socket_address(struct socket_info *socket, int outside, const char **host, int *host_length, int *port)
{
	str name = socket->address_str;

	*port = socket->port_no;
	if(outside && socket->useinfo.name.len > 0)
		name = socket->useinfo.name;
	if(outside && socket->useinfo.port_no > 0)
		*port = socket->useinfo.port_no;
	*host = name.s;
	*host_length = name.len;
}

int shim_has_to_tag(struct cell *transaction)
{
	struct sip_msg *request = transaction->uas.request;

	return request != NULL && request->to != NULL && request->to->parsed != NULL && get_to(request)->tag_value.len > 0;
}

void shim_pv_set_name(void *spec, int name)
{
	pv_spec_t *variable = spec;

	variable->pvp.pvn.type = PV_NAME_INTSTR;
	variable->pvp.pvn.u.isname.type = 0;
	variable->pvp.pvn.u.isname.name.n = name;
}

int shim_pv_name(void *parameter)
{
	return ((pv_param_t *)parameter)->pvn.u.isname.name.n;
}

int shim_pv_text(struct sip_msg *message, void *parameter, void *result, const char *text, int length)
{
	/* One of a ring of buffers, as an expression may hold several values. */
	str value = {pv_get_buffer(), length};

	if(value.len > pv_get_buffer_size())
		value.len = pv_get_buffer_size();
	memcpy(value.s, text, value.len);
	return pv_get_strval(message, (pv_param_t *)parameter, (pv_value_t *)result, &value);
}

int shim_pv_null(struct sip_msg *message, void *parameter, void *result)
{
	return pv_get_null(message, (pv_param_t *)parameter, (pv_value_t *)result);
}

const void *shim_shared_memory(void)
{
	static const void *address;

	if(address == NULL)
		address = shm_malloc(sizeof(void *));
	return address;
}

unsigned long shim_size_of(int which)
{
	static const unsigned long sizes[] = {sizeof(struct sip_msg), sizeof(struct lump), sizeof(uac_req_t),
			sizeof(dlg_t), sizeof(struct tm_binds), sizeof(struct module_exports), sizeof(struct socket_info),
			sizeof(struct receive_info), sizeof(sl_api_t), sizeof(rpc_t)};

	return sizes[which];
}
