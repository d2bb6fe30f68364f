// SPDX-License-Identifier: GPL-2.0-or-later
//
// The routing of stox.cfg in JavaScript, for Kamailio's module app_jsdt (see stox-kemi.cfg). Why each step is there
// is said in stox.cfg.
//
// Two things differ from a script in Kamailio's own language. Functions answer with numbers, and only those above 0
// mean yes. And no function ends the script: return after KSR.stox.handle() and KSR.stox.handle_as(), also when they
// gave 0 or less.

function yes(result) {
	return result === true || result > 0;
}

function is_method(methods) {
	return methods.some(function (method) { return KSR.is_method(method); });
}

// A value that stox.cfg or its user has set with #!define.
function setting(name) {
	return KSR.pv.gete("$def(" + name + ")").replace(/"/g, "");
}

// Does what writes to the database, one process at a time. Kamailio 6.0 wants the lock's name in two parts, 5.6 in one.
function one_at_a_time(write) {
	function turn(step) {
		try {
			KSR.cfgutils[step]("database");
		} catch (error) {
			KSR.cfgutils[step]("database", "");
		}
	}
	turn("lock");
	try {
		return write();
	} finally {
		turn("unlock");
	}
}

function has_totag() {
	return yes(KSR.siputils.has_totag());
}

// ---------------------------------------------------------------- Requests

function ksr_request_route() {
	if (!yes(KSR.maxfwd.process_maxfwd(10))) {
		KSR.sl.sl_send_reply(483, "Too Many Hops");
		return;
	}
	if (!yes(KSR.sanity.sanity_check(17767, 7))) {
		return;
	}

	if (KSR.pv.gete("$Rn") === "self") {
		if (KSR.is_PUBLISH()) {
			route_publish();
		} else {
			KSR.sl.sl_send_reply(403, "Forbidden");
		}
		return;
	}

	// The gateway's own requests: never challenged, never handed back.
	if (yes(KSR.stox.own())) {
		if (has_totag()) {
			route_dialog();
		} else {
			route_local();
		}
		return;
	}

	route_nat();

	if (KSR.is_CANCEL()) {
		if (yes(KSR.tm.t_check_trans())) {
			KSR.tm.t_relay();
		}
		return;
	}

	if (KSR.is_OPTIONS() && KSR.is_myself_ruri() && yes(KSR.pv.is_null("$rU"))) {
		KSR.sl.sl_send_reply(200, "OK");
		return;
	}

	// A From in an XMPP domain is a forgery.
	if (!KSR.is_ACK() && KSR.pv.gete("$fd") !== setting("SIP_DOMAIN")) {
		KSR.sl.sl_send_reply(403, "Not a user of this domain");
		return;
	}

	// Inside the gateway's dialogs: no password, and before loose_route().
	if (has_totag() && yes(KSR.stox.match())) {
		if (!KSR.is_ACK()) {
			KSR.stox.handle();
		}
		return;
	}

	if (has_totag()) {
		route_dialog();
		return;
	}
	if (KSR.is_ACK()) {
		if (yes(KSR.tm.t_check_trans())) {
			KSR.tm.t_relay();
		}
		return;
	}
	if (KSR.tm.t_check_trans() === 0) {
		return;
	}

	if (!route_auth()) {
		return;
	}

	if (KSR.is_REGISTER()) {
		route_register();
		return;
	}

	// To an XMPP user. The word is our promise to have checked who the sender is.
	if (yes(KSR.stox.match())) {
		KSR.stox.handle_as("authenticated");
		return;
	}

	if (KSR.pv.gete("$rd") !== setting("SIP_DOMAIN") && !KSR.is_myself_ruri()) {
		KSR.sl.sl_send_reply(403, "Relaying denied");
		return;
	}
	route_local();
}

// Whether the script goes on: the sender is a user of ours who proved it, or a trusted host.
function route_auth() {
	if (new RegExp(setting("TRUSTED_PEERS")).test(KSR.pv.gete("$si"))) {
		return true;
	}
	var realm = KSR.pv.gete("$fd");
	if (!yes(KSR.auth_db.auth_check(realm, "subscriber", 1))) {
		KSR.auth.auth_challenge(realm, 0);
		return false;
	}
	if (!is_method(["REGISTER", "PUBLISH"])) {
		KSR.auth.consume_credentials();
	}
	return true;
}

function route_register() {
	if (yes(KSR.nathelper.nat_uac_test(19))) {
		KSR.nathelper.fix_nated_register();
	}
	KSR.pua.pua_set_publish();
	if (!yes(one_at_a_time(function () { return KSR.registrar.save("location", 0); }))) {
		KSR.sl.sl_reply_error();
	}
}

function route_local() {
	if (KSR.is_PUBLISH()) {
		route_publish();
		return;
	}
	if (KSR.is_SUBSCRIBE()) {
		if (!/^presence([.;]|$)/.test(KSR.hdr.gete("Event"))) {
			KSR.sl.sl_send_reply(489, "Bad Event");
		} else if (!has_totag() && !yes(KSR.auth_db.is_subscriber(KSR.pv.gete("$ru"), "subscriber", 3))) {
			KSR.sl.sl_send_reply(404, "Not Found");
		} else {
			route_subscribe();
		}
		return;
	}
	// A MESSAGE makes no dialog, and has 1300 bytes at most.
	if (!KSR.is_MESSAGE()) {
		KSR.rr.record_route();
	}
	if (!yes(KSR.registrar.lookup("location"))) {
		// Who has an account and no phone is away.
		if (yes(KSR.auth_db.is_subscriber(KSR.pv.gete("$ru"), "subscriber", 3))) {
			KSR.sl.send_reply(480, "Temporarily Unavailable");
		} else {
			KSR.sl.send_reply(404, "Not Found");
		}
		return;
	}
	KSR.tm.t_relay();
}

function route_publish() {
	// linphone ends its publication without a Content-Length, which the presence server would not take.
	if (!yes(KSR.hdr.is_present("Content-Length"))) {
		KSR.hdr.append("Content-Length: 0\r\n");
		KSR.textopsx.msg_apply_changes();
	}
	one_at_a_time(function () { return KSR.presence.handle_publish(); });
}

function route_subscribe() {
	one_at_a_time(function () { return KSR.presence.handle_subscribe(); });
}

// Requests inside dialogs that are not the gateway's.
function route_dialog() {
	if (yes(KSR.rr.loose_route())) {
		KSR.nathelper.handle_ruri_alias();
		KSR.tm.t_relay();
	} else if (KSR.is_SUBSCRIBE() && KSR.is_myself_ruri()) {
		route_subscribe();
	} else if (!KSR.is_ACK()) {
		KSR.sl.sl_send_reply(404, "Not Here");
	} else if (yes(KSR.tm.t_check_trans())) {
		KSR.tm.t_relay();
	}
}

function route_nat() {
	KSR.force_rport();
	if (is_method(["INVITE", "SUBSCRIBE", "MESSAGE", "OPTIONS"]) && yes(KSR.nathelper.nat_uac_test(19))) {
		KSR.nathelper.set_contact_alias();
	}
}

// ---------------------------------------------------------------- Events

function ksr_stox_event(event) {
	var link = KSR.pv.gete("$stox(link)");
	if (event === "stox:link-up") {
		KSR.notice("XMPP link " + link + " is up\n");
	} else if (event === "stox:link-down") {
		KSR.warn("XMPP link " + link + " is down\n");
	}
}
