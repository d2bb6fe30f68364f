# SPDX-License-Identifier: GPL-2.0-or-later
"""sipp with a scenario of ours."""

import csv

from program import Program, find

WATCHERS = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="watchers">
  <send retrans="500"><![CDATA[
SUBSCRIBE sip:juliet@xmpp.example SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:watcher[call_number]@sip.example>;tag=[call_number]
To: <sip:juliet@xmpp.example>
Call-ID: [call_id]
CSeq: 1 SUBSCRIBE
Contact: <sip:watcher[call_number]@[local_ip]:[local_port]>
Event: presence
Expires: 600
Max-Forwards: 10
Content-Length: 0

]]></send>
  <recv response="100" optional="true"/>
  <recv request="NOTIFY" optional="true" next="1"/>
  <recv response="200"/>
  <recv request="NOTIFY"/>
  <send next="2"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
  <label id="1"/>
  <send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
  <recv response="200"/>
  <label id="2"/>
  <timewait milliseconds="100"/>
</scenario>
"""


def run(folder, proxy, address, scenario, calls, rate, limit=120):
    """Runs a scenario to its end; returns (successful, failed) calls."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scenario.xml").write_text(scenario)
    with Program("sipp", [find("sipp"), "-sf", str(folder / "scenario.xml"), "-i", address, "-p", "25060", "-m", str(calls),
                          "-r", str(rate), "-trace_stat", "-stf", str(folder / "stat.csv"), "-trace_err",
                          "-error_file", str(folder / "errors.log"), "-timeout", f"{limit}s", "-nostdin",
                          f"{proxy[0]}:{proxy[1]}"], folder / "screen.log", cwd=folder) as program:
        program.process.wait(limit + 20)
    with open(folder / "stat.csv", newline="") as stat:
        last = list(csv.DictReader(stat, delimiter=";"))[-1]
    return int(last["SuccessfulCall(C)"]), int(last["FailedCall(C)"])
