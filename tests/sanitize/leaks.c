/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Part of the runtime of AddressSanitizer that is preloaded into a Kamailio: the search for leaks in every process
 * that ends in order. Kamailio's processes and the gateway process leave by _exit, which does not search. */
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

extern int __lsan_do_recoverable_leak_check(void);

static void search(void)
{
	__lsan_do_recoverable_leak_check();
}

void _exit(int status)
{
	search();
	for(;;)
		syscall(SYS_exit_group, status);
}

__attribute__((constructor)) static void search_at_exit(void)
{
	atexit(search);
}
