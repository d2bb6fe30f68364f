/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * What the edge calls of Kamailio by name. Everything else goes through the tables of tm and sl. */
#ifndef STOX_SHIM_H
#define STOX_SHIM_H

struct cell;
struct counter_def_s;
struct lump;
struct receive_info;
struct rr;
struct sip_msg;
struct sl_api;
struct socket_info;
struct tm_binds;

/* Whether a line of that level would be written. */
int shim_log_prints(int level);
/* Writes a line of length bytes at text with Kamailio's logger. */
void shim_log(int level, const char *text, int length);

/* The tables of tm and sl; negative if the module is not loaded. */
int shim_load_tm(struct tm_binds *tm);
int shim_load_sl(struct sl_api *sl);

/* Announces count processes beside Kamailio's own; only in mod_init. */
int shim_register_processes(int count);
/* As fork(), with Kamailio's process table; only in child_init of the main process. name is kept. */
int shim_fork_process(char *name);
/* Takes over run-time settings changed since the last call. */
void shim_update_settings(void);

int shim_register_counters(const char *group, struct counter_def_s *counters);
int shim_register_kemi(void *table);

/* Whether the script is written in another language (KEMI). */
int shim_script_is_foreign(void);
/* Runs event_route[name], or with a callback that function of a script in another language; 1 if the script
 * has it, 0 if not, negative on failure. */
int shim_run_event(char *name, char *callback);

/* Parses all headers; negative if one is malformed. */
int shim_parse_headers(struct sip_msg *message);
/* The offset and length of the first header field of that name, value included; 0 if there is none. */
int shim_find_header(struct sip_msg *message, const char *name, int name_length, int *offset, int *length,
		const char **value, int *value_length);
/* Removes part of the message on its way out. */
int shim_delete(struct sip_msg *message, int offset, int length);
/* Adds a header to the next reply. */
int shim_add_reply_header(struct sip_msg *message, char *text, int length);
/* The URI in To; 0 if there is none. */
int shim_to_uri(struct sip_msg *message, const char **uri, int *length);
/* Whether the message came from an address this Kamailio listens on. */
int shim_from_own_address(struct sip_msg *message);
/* Whether event_route[tm:local-request] runs: for a request that tm has made here and not yet sent. */
int shim_in_local_request(void);

/* Parses the elements of a Route header; the list is freed by shim_free_routes. */
int shim_parse_routes(char *text, int length, struct rr **routes);
void shim_free_routes(struct rr **routes);

/* The first listening socket of a protocol, the others follow by their links; null if there is none. */
struct socket_info *shim_first_socket(unsigned int protocol);
/* The address of a socket, or the one it is known by outside. */
void shim_socket_address(
		struct socket_info *socket, int outside, const char **host, int *host_length, int *port);

/* Whether the request of a transaction has a tag in To. */
int shim_has_to_tag(struct cell *transaction);

/* The inner name of a pseudo-variable as a number, set when it is parsed, read when it is evaluated. */
void shim_pv_set_name(void *spec, int name);
int shim_pv_name(void *parameter);
/* The value of a pseudo-variable; text is copied, and cut at Kamailio's size of such a value. */
int shim_pv_text(struct sip_msg *message, void *parameter, void *result, const char *text, int length);
int shim_pv_null(struct sip_msg *message, void *parameter, void *result);

/* An address in Kamailio's shared memory; only in mod_init. */
const void *shim_shared_memory(void);

/* The sizes of the structures that the edge shares with Kamailio, as the C compiler sees them. */
unsigned long shim_size_of(int which);

#endif
