/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Two sites behind one address: who says the allowed name is let through; who says
 * another, none, or one that can be read in two ways, is not, and no byte of it
 * arrives. ClientHellos made by hand, whole, and cut at every byte.
 */
#include "names_parts.h"
#include "names_talk.h"

#include <errno.h>

#include "util.h"

#define POLICY "version: 1\negress: {allow: [\"good.test:443\", \"*.wild.test:443\", " \
	"{host: \"off.test\", ports: [7001], tls: off}]}\n"

static struct box *hello_box(void)
{
	static const char *const names[] = { "good.test", "www.wild.test", "off.test" };
	struct box *b = box_shared(POLICY);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		names_bind(b, names[i], NET_OK4, NAMES_FOREVER);
		names_bind(b, names[i], NET_OK6, NAMES_FOREVER);
	}
	return b;
}

/* What is sent on one subflow may be sent again on another. */
static struct box *mptcp_box(void)
{
	struct box *b = box_shared("version: 1\negress: {sockets: [mptcp], "
				   "allow: [\"good.test:443\"]}\n");

	names_bind(b, "good.test", NET_OK4, NAMES_FOREVER);
	return b;
}

#define TO6 { .to = { NET_OK6, 443 } }
#define TO_MAPPED { .to = { "::ffff:" NET_OK4, 443 } }
#define LONG_LABEL "123456789012345678901234567890123456789012345678901234567890123."

static const struct talk_row rows[] = {
	{ "the allowed name", { .name = "good.test" }, {}, TALK_PASSES, NULL },
	{ "another name", { .name = "evil.test" }, {}, EG_WHY_RULE, NULL },
	{ "the allowed name, IPv6", { .name = "good.test" }, TO6, TALK_PASSES, NULL },
	{ "another name, IPv6", { .name = "evil.test" }, TO6, EG_WHY_RULE, NULL },
	{ "the allowed name, mapped", { .name = "good.test" }, TO_MAPPED, TALK_PASSES, NULL },
	{ "another name, mapped", { .name = "evil.test" }, TO_MAPPED, EG_WHY_RULE, NULL },
	{ "upper case", { .name = "GOOD.Test" }, {}, TALK_PASSES, NULL },
	{ "a final dot", { .name = "good.test." }, {}, TALK_PASSES, NULL },
	{ "below a wildcard", { .name = "a.b.wild.test" }, {}, TALK_PASSES, NULL },
	{ "the wildcard's own name", { .name = "wild.test" }, {}, EG_WHY_RULE, NULL },
	{ "a longer label", { .name = "evilwild.test" }, {}, EG_WHY_RULE, NULL },
	{ "below the allowed name", { .name = "www.good.test" }, {}, EG_WHY_RULE, NULL },
	{ "the allowed name in front", { .name = "good.test.evil.test" }, {}, EG_WHY_RULE, NULL },
	{ "a name allowed at another port", { .name = "off.test" }, {}, EG_WHY_RULE, NULL },
	{ "NUL in the name", { .name = "evil.test\0.wild.test", .name_len = 20 }, {}, EG_WHY_RULE,
	  "evil.test" },
	{ "an empty label", { .name = "a..wild.test" }, {}, EG_WHY_RULE, NULL },
	{ "a slash in the name", { .name = "evil.test/.wild.test" }, {}, EG_WHY_RULE, NULL },
	{ "the longest name", { .name = LONG_LABEL LONG_LABEL LONG_LABEL
				"1234567890123456789012345678901234567890123456789.wild.test" },
	  {}, TALK_PASSES, NULL },
	{ "no name", {}, {}, EG_WHY_NO_NAME, NULL },
	{ "no extensions", { .no_extensions = true }, {}, EG_WHY_NO_NAME, NULL },
	{ "an encrypted name beside the allowed one", { .name = "good.test", .ech = true }, {},
	  EG_WHY_NO_NAME, "" },
	{ "an encrypted name before the allowed one is padded", { .name = "good.test", .ech = true,
	  .behind = 100 }, {}, EG_WHY_NO_NAME, "" },
	{ "early data", { .name = "good.test", .early = true }, {}, EG_WHY_NOT_TLS, "good.test" },
	{ "the extension twice", { .name = "good.test", .twice = true }, {}, EG_WHY_NOT_TLS, NULL },
	{ "a list of two names", { .name = "good.test", .two_names = true }, {}, EG_WHY_NOT_TLS,
	  "" },
	{ "large, as with post-quantum keys", { .name = "good.test", .before = 1300 }, {},
	  TALK_PASSES, NULL },
	{ "large, another name", { .name = "evil.test", .before = 1300, .behind = 500 }, {},
	  EG_WHY_RULE, NULL },
	/* what TCP puts in one packet however far the server is: two segments, MTU 1500 */
	{ "as large as can be", { .name = "good.test", .before = 1300, .behind = 1300 }, {},
	  TALK_PASSES, NULL },
	{ "as large as can be, another name", { .name = "evil.test", .before = 1300,
	  .behind = 1300 }, {}, EG_WHY_RULE, NULL },
	{ "forty extensions", { .name = "good.test", .count = 40 }, {}, TALK_PASSES, NULL },
	{ "more extensions than anybody sends", { .name = "good.test", .count = 80 }, {},
	  EG_WHY_NO_NAME, "" },
	{ "in two records", { .name = "good.test", .two_records = true }, {}, EG_WHY_NOT_TLS, "" },
	{ "a wrong length", { .name = "good.test", .wrong_length = true }, {}, EG_WHY_NOT_TLS, "" },
	{ "the last byte urgent", { .name = "good.test" }, { .urgent = true }, EG_WHY_NOT_TLS, "" },
	{ "byte by byte", { .name = "good.test" }, { .singly = true }, TALK_PASSES, NULL },
	{ "byte by byte, another name", { .name = "evil.test" }, { .singly = true },
	  EG_WHY_RULE, NULL },
	{ "in the SYN", { .name = "good.test" }, { .fastopen = true }, TALK_PASSES, NULL },
	{ "in the SYN, another name", { .name = "evil.test" }, { .fastopen = true },
	  EG_WHY_RULE, NULL },
	{ "in the SYN, IPv6, another name", { .name = "evil.test" },
	  { .to = { NET_OK6, 443 }, .fastopen = true }, EG_WHY_RULE, NULL },
};

/* What takes more than a hello. */
static void test_others(struct box *b)
{
	const struct bytes *good = hello_bytes(&(struct hello){ .name = "good.test" });
	const struct bytes *evil = hello_bytes(&(struct hello){ .name = "evil.test" });
	const struct bytes *words = text_bytes("whatever it is\r\n");
	const struct bytes *data = record_bytes(23, "whatever it is");
	const struct bytes *ccs = record_bytes(20, "\1");
	const struct talk_row more[] = {
		{ "what follows the handshake is not looked at", {},
		  { .say = { good, data, words, evil } }, TALK_PASSES, NULL },
		{ "what follows a hello is TLS", {}, { .say = { good, words }, .deaf_from = 2 },
		  EG_WHY_NOT_TLS, "" },
		{ "a second hello", {}, { .say = { good, good, words } }, TALK_PASSES, NULL },
		{ "a second hello for another name", {}, { .say = { good, evil }, .deaf_from = 2 },
		  EG_WHY_RULE, "evil.test" },
		{ "a second hello for another name, later", {},
		  { .say = { good, ccs, evil }, .deaf_from = 3 }, EG_WHY_RULE, "evil.test" },
		{ "words behind a good hello in one write", {}, { .say = { joined(good, words) } },
		  EG_WHY_NOT_TLS, "" },
		{ "another hello behind a good one", {}, { .say = { joined(good, evil) } },
		  EG_WHY_NOT_TLS, "" },
		{ "a good hello behind a bad one", {}, { .say = { joined(evil, good) } },
		  EG_WHY_NOT_TLS, "" },
		{ "in pages that can still change: sendfile", {},
		  { .say = { good }, .by = TALK_SENDFILE }, EG_WHY_NOT_TLS, "" },
		{ "in pages that can still change: MSG_ZEROCOPY", {},
		  { .say = { good }, .by = TALK_ZEROCOPY }, EG_WHY_NOT_TLS, "" },
		{ "neither TLS nor HTTP", {}, { .say = { words } }, EG_WHY_NOT_TLS, "" },
		{ "SSH", {}, { .say = { text_bytes("SSH-2.0-OpenSSH_9.2\r\n") } },
		  EG_WHY_NOT_TLS, "" },
		{ "something before the hello", {}, { .say = { joined(words, good) } },
		  EG_WHY_NOT_TLS, "" },
		{ "a socket used again for another name", {},
		  { .say = { evil, good }, .first_good = true }, EG_WHY_RULE, "evil.test" },
		{ "the same over IPv6", {},
		  { .to = { NET_OK6, 443 }, .say = { evil, good }, .first_good = true },
		  EG_WHY_RULE, "evil.test" },
		{ "a socket used again for the allowed name", {},
		  { .say = { good, good }, .first_good = true }, TALK_PASSES, NULL },
		{ "tls: off looks at nothing", {},
		  { .to = { NET_OK4, 7001 }, .say = { evil, words } }, TALK_PASSES, NULL },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(more); i++)
		talk_row(b, &more[i]);
}

/* Two writes, cut at every byte: both sites, IPv4 and IPv6. */
static void test_cuts(struct box *b, const char *addr)
{
	const struct bytes *good = hello_bytes(&(struct hello){ .name = "good.test" });
	struct talk t = { .to = { addr, 443 }, .say = { good } };
	const struct talk_row evil = { .hello = { .name = "evil.test" }, .reason = EG_WHY_RULE };
	int result;

	if (!case_begin("cut at every byte: %s", addr))
		return;
	box_events_drop(b);
	result = box_run(b, AS_USER, act_talk_cuts, &t);
	talk_passed(b, "the allowed name", result);
	t.say[0] = hello_bytes(&evil.hello);
	result = box_run(NULL, AS_USER, act_talk_cuts, &t);
	check(!result, "control: cut at %s", result_text(result));
	net_reset();
	t.deaf_from = 1;
	result = box_run(b, AS_USER, act_talk_cuts, &t);
	check(!result, "another name, cut at %s", result_text(result));
	talk_refused(b, t.say[0]->len - 1, &evil, &t);
	check(!net_seen(NET_OK).tcp_bytes, "the host heard some of it");
	case_end();
}

static int act_enable_fastopen(const void *host)
{
	/* data in a SYN without a cookie: sent, and taken by every listener */
	const char *flags = host ? "1538\n" : "5\n";

	if (host)
		net_enter(*(const enum net_host *)host);
	write_file("/proc/sys/net/ipv4/tcp_fastopen", flags);
	return 0;
}

void test_hellos(void)
{
	static const enum net_host ok = NET_OK;
	const struct bytes *good = hello_bytes(&(struct hello){ .name = "good.test" });
	const struct bytes *evil = hello_bytes(&(struct hello){ .name = "evil.test" });
	struct bytes *part;
	struct box *b;
	size_t i;

	must(box_run(NULL, AS_ROOT, act_enable_fastopen, &ok));
	must(box_run(NULL, AS_ROOT, act_enable_fastopen, NULL));
	b = hello_box();
	for (i = 0; i < ARRAY_SIZE(rows); i++)
		talk_row(b, &rows[i]);
	test_others(b);
	test_cuts(b, NET_OK4);
	test_cuts(b, NET_OK6);
	part = (struct bytes *)joined(evil, text_bytes("%s", ""));
	part->len -= 1;
	talk_pieces(b, "a hello whose last byte never comes", (struct talk){ .say = { part } });
	talk_pieces(b, "a hello that may not be put together",
		    (struct talk){ .say = { good }, .cut = 20, .eor = true });
	talk_pieces(b, "a good hello behind a piece of another",
		    (struct talk){ .say = { joined(evil, good) }, .cut = evil->len - 1,
				   .eor = true });
	part = (struct bytes *)joined(part, good);
	talk_pieces(b, "a good hello where the rest of another should be",
		    (struct talk){ .say = { part }, .cut = part->len - good->len, .eor = true });
	/* larger than what TCP sends before the first answer */
	talk_row(mptcp_box(), &(struct talk_row){
		.title = "over MPTCP", .hello = { .name = "good.test" },
		.talk = { .mptcp = true }, .reason = EG_WHY_NOT_TLS, .event = "" });
	talk_pieces(b, "sixteen kilobytes", (struct talk){ .say = {
		hello_bytes(&(struct hello){ .name = "evil.test", .before = 16000 }) } });
}
