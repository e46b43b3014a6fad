/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Plain HTTP to an address that is open by name: each request says an allowed one,
 * the second on a connection too. A proxy is asked for allowed targets alone.
 */
#include "names_parts.h"
#include "names_talk.h"

#include <errno.h>

#include "util.h"

#define POLICY "version: 1\negress: {allow: [\"good.test:80\", \"good.test:443\", " \
	"\"www.good.test:80\", {host: \"proxy.test\", ports: [8443], proxy: true}]}\n"

#define CONNECT_GOOD "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n"
#define GET(host) "GET / HTTP/1.1\r\nHost: " host "\r\nUser-Agent: test\r\n\r\n"

static struct box *http_box(void)
{
	static const char *const names[] = { "good.test", "proxy.test" };
	struct box *b = box_shared(POLICY);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		names_bind(b, names[i], NET_OK4, NAMES_FOREVER);
	names_bind(b, "good.test", NET_OK6, NAMES_FOREVER);
	return b;
}

struct said {
	const char *title;
	const char *say[4];
	uint8_t reason;
	const char *event;
	size_t deaf_from;
};

static void test_said(struct box *b, const char *addr, uint16_t port, const struct said *s)
{
	struct talk_row r = {
		.title = str("%s: %s", port == 80 ? "HTTP" : "proxy", s->title),
		.talk = { .to = { addr, port }, .deaf_from = s->deaf_from },
		.reason = s->reason, .event = s->event ? s->event : "",
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(s->say) && s->say[i]; i++)
		r.talk.say[i] = text_bytes("%s", s->say[i]);
	talk_row(b, &r);
}

static const struct said web[] = {
	{ "the allowed host", { GET("good.test") }, TALK_PASSES, NULL, 0 },
	{ "another", { GET("evil.test") }, EG_WHY_RULE, "evil.test", 0 },
	{ "upper case and a port", { GET("GOOD.test:80") }, TALK_PASSES, NULL, 0 },
	{ "no host", { "GET / HTTP/1.1\r\nUser-Agent: test\r\n\r\n" }, EG_WHY_NO_NAME, NULL, 0 },
	{ "HTTP/1.0 without a host", { "GET / HTTP/1.0\r\n\r\n" }, EG_WHY_NO_NAME, NULL, 0 },
	{ "an empty host", { GET("") }, EG_WHY_NO_NAME, NULL, 0 },
	{ "two hosts, the allowed one first",
	  { "GET / HTTP/1.1\r\nHost: good.test\r\nHost: evil.test\r\n\r\n" }, EG_WHY_NOT_TLS,
	  "good.test", 0 },
	{ "two hosts, the allowed one last",
	  { "GET / HTTP/1.1\r\nHost: evil.test\r\nHost: good.test\r\n\r\n" }, EG_WHY_NOT_TLS,
	  "evil.test", 0 },
	{ "a list of hosts", { GET("good.test, evil.test") }, EG_WHY_NOT_TLS, "good.test", 0 },
	{ "a user before the host", { GET("good.test@evil.test") }, EG_WHY_NOT_TLS,
	  "good.test", 0 },
	{ "a space before the colon", { "GET / HTTP/1.1\r\nHost : good.test\r\n\r\n" },
	  EG_WHY_NOT_TLS, NULL, 0 },
	{ "a folded line",
	  { "GET / HTTP/1.1\r\nX: a\r\n Host: evil.test\r\nHost: good.test\r\n\r\n" },
	  EG_WHY_NOT_TLS, NULL, 0 },
	{ "lines without CR", { "GET / HTTP/1.1\nHost: good.test\n\n" }, EG_WHY_NOT_TLS, NULL, 0 },
	{ "a whole address", { "GET http://good.test/x HTTP/1.1\r\nHost: good.test\r\n\r\n" },
	  TALK_PASSES, NULL, 0 },
	{ "a whole address of another",
	  { "GET http://evil.test/x HTTP/1.1\r\nHost: good.test\r\n\r\n" }, EG_WHY_RULE,
	  "evil.test", 0 },
	{ "a whole address, another host",
	  { "GET http://good.test/x HTTP/1.1\r\nHost: evil.test\r\n\r\n" }, EG_WHY_RULE,
	  "evil.test", 0 },
	{ "CONNECT", { "CONNECT good.test:443 HTTP/1.1\r\nHost: good.test\r\n\r\n" },
	  EG_WHY_NOT_TLS, "good.test", 0 },
	{ "HTTP/2 without TLS", { "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" }, EG_WHY_NOT_TLS, NULL, 0 },
	{ "an upgrade", { "GET / HTTP/1.1\r\nHost: good.test\r\nUpgrade: h2c\r\n\r\n" },
	  EG_WHY_NOT_TLS, "good.test", 0 },
	{ "a second request to the same host", { GET("good.test"), GET("good.test") },
	  TALK_PASSES, NULL, 0 },
	{ "a second request to another", { GET("good.test"), GET("evil.test") }, EG_WHY_RULE,
	  "evil.test", 2 },
	{ "a third one", { GET("good.test"), GET("www.good.test"), GET("evil.test") },
	  EG_WHY_RULE, "evil.test", 3 },
	{ "something else after a request", { GET("good.test"), "whatever\r\n" },
	  EG_WHY_NOT_TLS, NULL, 2 },
	{ "two requests in one write", { GET("good.test") GET("evil.test") }, EG_WHY_NOT_TLS,
	  "good.test", 0 },
	{ "a body", { "POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 5\r\n\r\n", "abcde",
		      GET("good.test") }, TALK_PASSES, NULL, 0 },
	{ "a body that looks like a request",
	  { "POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 55\r\n\r\n",
	    GET("evil.test") }, TALK_PASSES, NULL, 0 },
	{ "a request behind the end of a body",
	  { "POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 5\r\n\r\n",
	    "abcde" GET("evil.test") }, EG_WHY_RULE, "evil.test", 2 },
	{ "two lengths", { "POST / HTTP/1.1\r\nHost: good.test\r\nContent-Length: 5\r\n"
			   "Content-Length: 500\r\n\r\n" }, EG_WHY_NOT_TLS, "good.test", 0 },
	{ "an unknown length", { "POST / HTTP/1.1\r\nHost: good.test\r\n"
				 "Transfer-Encoding: chunked\r\n\r\n" }, EG_WHY_NOT_TLS,
	  "good.test", 0 },
};

static const struct said proxy[] = {
	{ "CONNECT to an allowed name",
	  { CONNECT_GOOD }, TALK_PASSES, NULL, 0 },
	{ "words in a tunnel", { CONNECT_GOOD, "whatever\r\n" }, EG_WHY_NOT_TLS, NULL, 2 },
	{ "another request in a tunnel", { CONNECT_GOOD, "CONNECT evil.test:443 HTTP/1.1\r\n\r\n" },
	  EG_WHY_RULE, "evil.test", 2 },
	{ "CONNECT to another",
	  { "CONNECT evil.test:443 HTTP/1.1\r\nHost: good.test:443\r\n\r\n" }, EG_WHY_RULE,
	  "evil.test", 0 },
	{ "CONNECT to another port", { "CONNECT good.test:22 HTTP/1.1\r\n\r\n" }, EG_WHY_RULE,
	  "good.test", 0 },
	{ "CONNECT to an address", { "CONNECT 10.203.2.2:443 HTTP/1.1\r\n\r\n" }, EG_WHY_RULE,
	  "10.203.2.2", 0 },
	{ "CONNECT without a port", { "CONNECT good.test HTTP/1.1\r\n\r\n" }, EG_WHY_NOT_TLS,
	  "good.test", 0 },
	{ "a whole address", { "GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n" },
	  TALK_PASSES, NULL, 0 },
	{ "a whole address of another",
	  { "GET http://evil.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n" }, EG_WHY_RULE,
	  "evil.test", 0 },
	{ "a whole address, another port",
	  { "GET http://good.test:8080/ HTTP/1.1\r\nHost: good.test\r\n\r\n" }, EG_WHY_RULE,
	  "good.test", 0 },
	{ "another after an allowed one",
	  { "GET http://good.test/ HTTP/1.1\r\nHost: good.test\r\n\r\n",
	    "CONNECT evil.test:443 HTTP/1.1\r\n\r\n" }, EG_WHY_RULE, "evil.test", 2 },
	{ "SOCKS", { "\x05\x01" }, EG_WHY_NOT_TLS, NULL, 0 },
};

/* Cut at every byte in two writes, the allowed host and another. */
static void test_cuts(struct box *b)
{
	struct talk t = { .to = { NET_OK4, 80 }, .say = { text_bytes("%s", GET("good.test")) } };
	const struct talk_row evil = { .event = "evil.test", .reason = EG_WHY_RULE };
	int result;

	if (!case_begin("HTTP: cut at every byte"))
		return;
	box_events_drop(b);
	result = box_run(b, AS_USER, act_talk_cuts, &t);
	talk_passed(b, "the allowed host", result);
	t.say[0] = text_bytes("%s", GET("evil.test"));
	t.deaf_from = 1;
	net_reset();
	result = box_run(b, AS_USER, act_talk_cuts, &t);
	check(!result, "another host, cut at %s", result_text(result));
	talk_refused(b, t.say[0]->len - 1, &evil, &t);
	check(!net_seen(NET_OK).tcp_bytes, "the host heard some of it");
	case_end();
}

void test_requests(void)
{
	struct box *b;
	size_t i;

	b = http_box();
	for (i = 0; i < ARRAY_SIZE(web); i++)
		test_said(b, NET_OK4, 80, &web[i]);
	for (i = 0; i < 2; i++)
		test_said(b, NET_OK6, 80, &web[i]);
	for (i = 0; i < ARRAY_SIZE(proxy); i++)
		test_said(b, NET_OK4, 8443, &proxy[i]);
	talk_row(b, &(struct talk_row){
		.title = "proxy: the allowed site in a tunnel",
		.talk = { .to = { NET_OK4, 8443 }, .say = { text_bytes("%s", CONNECT_GOOD),
			  hello_bytes(&(struct hello){ .name = "good.test" }) } },
		.reason = TALK_PASSES });
	talk_row(b, &(struct talk_row){
		.title = "proxy: another site in a tunnel", .event = "evil.test",
		.talk = { .to = { NET_OK4, 8443 }, .say = { text_bytes("%s", CONNECT_GOOD),
			  hello_bytes(&(struct hello){ .name = "evil.test" }) }, .deaf_from = 2 },
		.reason = EG_WHY_RULE });
	talk_row(b, &(struct talk_row){
		.title = "TLS on the port of HTTP, an allowed name",
		.hello = { .name = "good.test" },
		.talk = { .to = { NET_OK4, 80 } }, .reason = TALK_PASSES });
	talk_row(b, &(struct talk_row){
		.title = "TLS on the port of HTTP, another name", .hello = { .name = "evil.test" },
		.talk = { .to = { NET_OK4, 80 } }, .reason = EG_WHY_RULE });
	talk_row(b, &(struct talk_row){
		.title = "HTTP on the port of TLS, an allowed name",
		.talk = { .say = { text_bytes("%s", GET("good.test")) } }, .reason = TALK_PASSES });
	talk_row(b, &(struct talk_row){
		.title = "HTTP on the port of TLS, another name", .event = "evil.test",
		.talk = { .say = { text_bytes("%s", GET("evil.test")) } }, .reason = EG_WHY_RULE });
	test_cuts(b);
	talk_pieces(b, "HTTP: a head that does not end",
		    (struct talk){ .to = { NET_OK4, 80 },
				   .say = { text_bytes("GET / HTTP/1.1\r\nUser-Agent: a\r\n") } });
}
