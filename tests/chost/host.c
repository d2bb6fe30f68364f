/* SPDX-License-Identifier: GPL-2.0-or-later
 *
 * The smallest SIP proxy that hosts stox: loads the hooks of include/stox.h without Kamailio, hands one
 * SUBSCRIBE over, and prints the reply and the first NOTIFY.
 *
 * usage: host STOX.SO STORE   (STORE: path of a database to be made)
 * Exit status 0 if the reply was 200, a NOTIFY followed, and the port ended in good order. */
#include <dlfcn.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stox.h"

/* The proxy's only transaction. */
#define INDEX 7
#define LABEL 42

#define PATIENCE_MS 10000

static const char SUBSCRIBE[] = "SUBSCRIBE sip:juliet@xmpp.example SIP/2.0\r\n"
								"Via: SIP/2.0/UDP 192.0.2.7:5060;branch=z9hG4bKnashds7\r\n"
								"Max-Forwards: 70\r\n"
								"From: <sip:romeo@sip.example>;tag=xfg9\r\n"
								"To: <sip:juliet@xmpp.example>\r\n"
								"Call-ID: chost-1\r\n"
								"CSeq: 1 SUBSCRIBE\r\n"
								"Contact: <sip:romeo@192.0.2.7:5060>\r\n"
								"Event: presence\r\n"
								"Accept: application/pidf+xml\r\n"
								"Expires: 600\r\n"
								"Content-Length: 0\r\n\r\n";

/* A gateway process under a memory checker takes longer to start than a request waits for it. */
#define TRIES 30

/* What the port tells the proxy's main process; static where it is filled, so that no byte of it is undefined. */
struct told {
	char kind; /* 'R' for a reply, 'S' for a request */
	uint32_t status;
	uint64_t id;
	char text[128];
};

static int to_main[2];

static stox_text text(const char *content)
{
	stox_text text = {content, strlen(content)};
	return text;
}

static void tell(const struct told *told)
{
	if(write(to_main[1], told, sizeof(*told)) != sizeof(*told))
		abort();
}

static int suspend(void *data, void *message, stox_transaction *transaction)
{
	if(message != SUBSCRIBE)
		return STOX_FAILED;
	transaction->index = INDEX;
	transaction->label = LABEL;
	(void)data;
	return STOX_OK;
}

static void cancel(void *data, void *message, const stox_transaction *transaction)
{
	(void)data;
	(void)message;
	fprintf(stderr, "transaction %u taken back\n", transaction->index);
}

static int reply(void *data, const stox_reply *reply)
{
	static struct told told;

	(void)data;
	told.kind = 'R';
	told.status = reply->status;
	if(reply->transaction.index != INDEX || reply->transaction.label != LABEL)
		return STOX_DONE;
	snprintf(told.text, sizeof(told.text), "%.*s", (int)reply->reason.length, reply->reason.at);
	tell(&told);
	return STOX_OK;
}

static int send_request(void *data, const stox_send *send)
{
	static struct told told;

	(void)data;
	told.kind = 'S';
	told.id = send->id;
	snprintf(told.text, sizeof(told.text), "%.*s %.*s", (int)send->method.length, send->method.at,
			(int)send->request_uri.length, send->request_uri.at);
	tell(&told);
	return STOX_OK;
}

static void event(void *data, const stox_event *event)
{
	(void)data;
	fprintf(stderr, "link %.*s is %s\n", (int)event->link.length, event->link.at, event->up ? "up" : "down");
}

static void write_log(void *data, int level, stox_text line)
{
	(void)data;
	fprintf(stderr, "%d: %.*s\n", level, (int)line.length, line.at);
}

static void *find(void *library, const char *name)
{
	void *function = dlsym(library, name);

	if(function == NULL) {
		fprintf(stderr, "%s is missing: %s\n", name, dlerror());
		exit(1);
	}
	return function;
}

static void set(stox_set_f stox_set, const char *name, const char *value)
{
	char error[256];

	if(stox_set(text(name), text(value), error, sizeof(error)) != STOX_OK) {
		fprintf(stderr, "%s: %s\n", name, error);
		exit(1);
	}
}

/* The next thing the port tells; 0 if nothing came in time. */
static int hear(struct told *told)
{
	struct pollfd readable = {to_main[0], POLLIN, 0};
	int ready;

	do {
		ready = poll(&readable, 1, PATIENCE_MS);
	} while(ready < 0 && errno == EINTR);
	return ready == 1 && read(to_main[0], told, sizeof(*told)) == sizeof(*told);
}

int main(int count, char **arguments)
{
	stox_host host = {sizeof(stox_host), STOX_ABI_VERSION, NULL, NULL, suspend, cancel, reply, send_request, event,
			write_log};
	stox_request_in request;
	struct told told;
	char error[256], store[512];
	uint32_t retry_after = 0;
	int result, status, replied = 0, notified = 0, tries = 0;
	stox_request_f hand_over;
	void *library;
	pid_t port;

	if(count != 3) {
		fprintf(stderr, "usage: %s STOX.SO STORE\n", arguments[0]);
		return 1;
	}
	library = dlopen(arguments[1], RTLD_LAZY);
	if(library == NULL) {
		fprintf(stderr, "%s\n", dlerror());
		return 1;
	}
	if(((stox_abi_version_f)find(library, "stox_abi_version"))() != STOX_ABI_VERSION) {
		fprintf(stderr, "another version of the hooks\n");
		return 1;
	}

	stox_set_f stox_set = (stox_set_f)find(library, "stox_set");
	if(stox_set(text("ports"), text("many"), error, sizeof(error)) != STOX_FAILED) {
		fprintf(stderr, "a wrong parameter was taken\n");
		return 1;
	}
	printf("ports: %s\n", error);
	snprintf(store, sizeof(store), "sqlite:%s", arguments[2]);
	set(stox_set, "sip_domain", "sip.example");
	set(stox_set, "xmpp_allow", "xmpp.example");
	set(stox_set, "contact", "192.0.2.1:5060");
	set(stox_set, "outbound_proxy", "sip:192.0.2.1");
	set(stox_set, "store", store);
	/* Nobody listens there: the SIP side works without a link. */
	set(stox_set, "component", "domain=sip.example;host=127.0.0.1;port=1;secret=none");
	if(((stox_start_f)find(library, "stox_start"))(&host, error, sizeof(error)) != STOX_OK) {
		fprintf(stderr, "%s\n", error);
		return 1;
	}
	if(((stox_matches_f)find(library, "stox_matches"))(text("sip:juliet@xmpp.example")) != 1) {
		fprintf(stderr, "the request is not recognised\n");
		return 1;
	}

	fflush(stdout);
	if(pipe(to_main) < 0)
		return 1;
	port = fork();
	if(port == 0) {
		((stox_run_port_f)find(library, "stox_run_port"))(0);
		abort();
	}

	memset(&request, 0, sizeof(request));
	request.size = sizeof(request);
	request.raw = text(SUBSCRIBE);
	request.peer = text("192.0.2.7:5060");
	request.local = text("192.0.2.1:5060");
	request.protocol = STOX_UDP;
	request.authenticated = 1;
	hand_over = (stox_request_f)find(library, "stox_request");
	result = hand_over(&request, (void *)SUBSCRIBE, &retry_after);
	if(result != STOX_OK)
		fprintf(stderr, "not taken: %d, retry after %u s\n", result, retry_after);

	while(result == STOX_OK && !(replied && notified) && hear(&told)) {
		if(told.kind == 'R') {
			printf("reply %u %s\n", told.status, told.text);
			replied = told.status == 200;
			if(!replied && (told.status != 503 || ++tries == TRIES))
				break;
			if(!replied)
				result = hand_over(&request, (void *)SUBSCRIBE, &retry_after);
		} else {
			printf("request %s\n", told.text);
			notified = 1;
			((stox_result_f)find(library, "stox_result"))(told.id, 200, (stox_text){NULL, 0});
		}
	}

	kill(port, SIGTERM);
	waitpid(port, &status, 0);
	((stox_stop_f)find(library, "stox_stop"))();
	if(!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "the port ended with status %#x\n", status);
		return 1;
	}
	if(!replied || !notified) {
		fprintf(stderr, "no %s came\n", replied ? "NOTIFY" : "reply 200");
		return 1;
	}
	return 0;
}
