/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The hooks of stox: what a SIP proxy calls, and what the proxy offers in return.
 *
 * The proxy calls, in this order:
 *
 *   stox_set()         once for each parameter it read from its configuration
 *   stox_start()       once, before it makes its processes
 *   stox_run_port()    in each of stox_ports() processes of its own that serve stox alone
 *   stox_request()     in any process, for each SIP request that is for stox
 *   stox_result()      in any process, when a request sent for stox has got its final response
 *   stox_stop()        once, after all processes have ended
 *
 * and stox calls the functions of struct stox_host: suspend() and cancel() in the process that called
 * stox_request(), everything else in a port. No function of stox waits for anything but its own processes,
 * and none keeps a pointer that it was given, except those in the host's table.
 *
 * Each structure that can grow begins with its size, so that a later version can tell what an older caller
 * knows; a structure smaller than in this version is refused. STOX_ABI_VERSION changes when a structure
 * changes otherwise.
 *
 * A hook never lets a fault inside stox reach its caller: it logs it and returns STOX_FAILED. */
#ifndef STOX_H
#define STOX_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define STOX_ABI_VERSION 1

/* What hooks return. */
#define STOX_OK 0        /* done; for a request: taken, stox will reply to it */
#define STOX_DONE 1      /* nothing is to be done: a retransmission, or the transaction is over already */
#define STOX_REFUSED 2   /* stox cannot take it now: answer 503 with the Retry-After that was set */
#define STOX_TOO_LARGE 3 /* stox will never take it, for its size: answer 413 */
#define STOX_FAILED (-1) /* a fault, already logged, or described in the error text */

/* Log levels, from Kamailio. */
#define STOX_LOG_CRITICAL (-2)
#define STOX_LOG_ERROR (-1)
#define STOX_LOG_WARNING 0
#define STOX_LOG_NOTICE 1
#define STOX_LOG_INFO 2
#define STOX_LOG_DEBUG 3

/* Transports. */
#define STOX_UDP 0
#define STOX_TCP 1
#define STOX_TLS 2
#define STOX_SCTP 3
#define STOX_WS 4
#define STOX_WSS 5

/* Bytes without a terminator; at is NULL where a text is absent. */
typedef struct stox_text {
	const char *at;
	size_t length;
} stox_text;

/* A header field: its name, and its value without line break. */
typedef struct stox_header {
	stox_text name;
	stox_text value;
} stox_header;

/* A server transaction of the proxy. What the numbers mean is the proxy's affair. */
typedef struct stox_transaction {
	uint32_t index;
	uint32_t label;
} stox_transaction;

/* A SIP request for stox. */
typedef struct stox_request_in {
	size_t size;
	stox_text raw;         /* the message as received, header and body */
	stox_text request_uri; /* the Request-URI, if the proxy changed it */
	stox_text contact;     /* the value of Contact, if the proxy changed it */
	stox_text peer;        /* where it came from: 192.0.2.1:5060 or [2001:db8::1]:5060 */
	stox_text local;       /* the socket that received it, in the same form */
	uint32_t protocol;     /* STOX_UDP, ... */
	uint32_t connection;   /* the proxy's number of the connection; 0 for UDP */
	uint32_t authenticated; /* 1 if the proxy authenticated the sender, else 0 */
} stox_request_in;

/* The answer to a request. */
typedef struct stox_reply {
	size_t size;
	stox_transaction transaction;
	uint32_t status;
	stox_text reason;
	stox_text to_tag;           /* absent: the proxy's choice */
	const stox_header *headers; /* all but those that RFC 3261 section 8.2.6 copies from the request */
	size_t header_count;
	stox_text body;
} stox_reply;

/* A request to send. */
typedef struct stox_send {
	size_t size;
	uint64_t id; /* for stox_result() */
	stox_text method;
	stox_text request_uri;
	stox_text from_uri; /* From and To are bare URIs */
	stox_text from_tag;
	stox_text to_uri;
	stox_text to_tag; /* absent outside a dialog */
	stox_text call_id;
	uint32_t cseq;      /* to be used exactly */
	uint32_t own_token; /* 1 if the proxy's own script must recognise the request */
	stox_text route_set; /* the Route header's value; absent if there is none */
	stox_text next_hop;  /* a SIP URI to send to whatever the Request-URI says; absent: by Route or Request-URI */
	stox_text socket;    /* the socket to send from, as udp:192.0.2.1:5060; absent: the proxy's choice */
	const stox_header *headers; /* all others, Contact and Content-Type among them */
	size_t header_count;
	stox_text body;
} stox_send;

/* A link to the XMPP network came up or went down. */
typedef struct stox_event {
	size_t size;
	stox_text link;
	uint32_t up;
	stox_text reason; /* why it went down */
} stox_event;

/* What the proxy offers. Every function is needed; data is passed to each as its first argument. */
typedef struct stox_host {
	size_t size;
	uint32_t abi_version; /* STOX_ABI_VERSION */
	void *data;
	/* An address within shared memory of the proxy, which the gateway process gives back at its start so
	 * that it can do no harm there; NULL if there is none. */
	const void *shared_memory;
	/* Keeps the request that message (as given to stox_request()) stands for until reply() is called for
	 * the transaction, which may be at once and in another process. STOX_OK, STOX_DONE or STOX_FAILED. */
	int (*suspend)(void *data, void *message, stox_transaction *transaction);
	/* Takes suspend() back; the request is answered by the caller of stox_request(). */
	void (*cancel)(void *data, void *message, const stox_transaction *transaction);
	/* Answers a transaction. STOX_OK, or STOX_DONE if it has been answered or is gone. */
	int (*reply)(void *data, const stox_reply *reply);
	/* Sends a request; stox_result() follows exactly if this returns STOX_OK. */
	int (*send)(void *data, const stox_send *send);
	/* Tells the operator's script of a link. */
	void (*event)(void *data, const stox_event *event);
	/* Writes one line; also called by hooks in any process. */
	void (*log)(void *data, int level, stox_text text);
} stox_host;

/* The version of this ABI that the library was built with. */
uint32_t stox_abi_version(void);

/* Reads a parameter. On a fault, writes a sentence of at most error_size bytes, terminator included. */
int stox_set(stox_text name, stox_text value, char *error, size_t error_size);

/* Checks the parameters as a whole and makes the channels. */
int stox_start(const stox_host *host, char *error, size_t error_size);

/* How many processes are to call stox_run_port(), with the indices from 0 on. */
uint32_t stox_ports(void);

/* Serves one port; does not return. The process must be single-threaded, and a child of the one that called
 * stox_start(). SIGTERM ends it. */
void stox_run_port(uint32_t index);

/* Hands a request over. message is what suspend() and cancel() get. On STOX_REFUSED, the request is not
 * suspended any more, and retry_after (in seconds) is set; on STOX_TOO_LARGE it never was. */
int stox_request(const stox_request_in *request, void *message, uint32_t *retry_after);

/* Hands over the final response to a request of ours; raw is absent if none came. */
int stox_result(uint64_t id, uint32_t status, stox_text raw);

/* A SIP user has registered: address_of_record is a URI. Those who watch him are not kept waiting. */
void stox_registered(stox_text address_of_record);

/* Whether a request with this Request-URI is for stox. 1 or 0. */
int stox_matches(stox_text request_uri);

/* Closes the channels of this process. */
void stox_stop(void);

/* The same as types, for dlsym(). */
typedef uint32_t (*stox_abi_version_f)(void);
typedef int (*stox_set_f)(stox_text name, stox_text value, char *error, size_t error_size);
typedef int (*stox_start_f)(const stox_host *host, char *error, size_t error_size);
typedef uint32_t (*stox_ports_f)(void);
typedef void (*stox_run_port_f)(uint32_t index);
typedef int (*stox_request_f)(const stox_request_in *request, void *message, uint32_t *retry_after);
typedef int (*stox_result_f)(uint64_t id, uint32_t status, stox_text raw);
typedef void (*stox_registered_f)(stox_text address_of_record);
typedef int (*stox_matches_f)(stox_text request_uri);
typedef void (*stox_stop_f)(void);

#ifdef __cplusplus
}
#endif

#endif
