/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Policies that are wrong, and what is said about each, word for word: place, the
 * value found, what was expected. Changing a message means changing it here.
 */
#ifndef POLICY_BAD_H
#define POLICY_BAD_H

static const struct bad_policy {
	const char *text;
	const char *message; /* after "p.yaml:" */
} bad_policies[] = {
	{ "",
	  "1:1: the file is empty: expected a map that begins with version: 1" },
	{ "\n# only a comment\n",
	  "1:1: the file is empty: expected a map that begins with version: 1" },
	{ "---\n",
	  "1:1: the file is empty: expected a map that begins with version: 1" },
	{ "null\n",
	  "1:1: the file is empty: expected a map that begins with version: 1" },
	{ "- a\n",
	  "1:1: this is no map: expected keys, the first of them version: 1" },
	{ "hello\n",
	  "1:1: this is no map: expected keys, the first of them version: 1" },
	{ "version: 1\n---\nversion: 1\n",
	  "2:1: a second document begins here: expected one a file" },
	{ "version: 2\n",
	  "1:10: version: got \"2\", expected 1, the only version there is" },
	{ "version: one\n",
	  "1:10: version: got \"one\", expected 1, the only version there is" },
	{ "mode: enforce\n",
	  "1:1: no version: expected \"version: 1\"" },
	{ "version: 1\neggress: {}\n",
	  "2:1: unknown key \"eggress\" in a policy: expected one of version, description, "
	  "extends, mode, egress, files, exec, privileges, env, limits, on-failure, require" },
	{ "version: 1\nmode: enforced\n",
	  "2:7: mode: got \"enforced\", expected enforce or audit" },
	{ "version: 1\nmode:\n",
	  "2:1: mode: got nothing, expected enforce or audit" },
	{ "version: 1\nmode: ~\n",
	  "2:7: mode: got nothing, expected enforce or audit" },
	{ "version: 1\nmode: [enforce]\n",
	  "2:7: mode: got a list, expected enforce or audit" },
	{ "version: 1\nmode: enforce\nmode: audit\n",
	  "3:1: duplicate key \"mode\": it is already given at line 2" },
	{ "version: 1\ndescription:\n",
	  "2:1: description: got nothing, expected a sentence" },
	{ "version: 1\nexec: loose\n",
	  "2:7: exec: got \"loose\", expected normal or strict" },
	{ "version: 1\nrequire: half\n",
	  "2:10: require: got \"half\", expected full, or the key left out" },
	{ "version: 1\non-failure: ignore\n",
	  "2:13: on-failure: got \"ignore\", expected deny or freeze" },
	{ "version: 1\nfiles: [a]\n",
	  "2:8: files: got a list, expected a map of paths to permissions" },
	{ "version: 1\nfiles:\n",
	  "2:1: files: got nothing, expected a map" },
	{ "version: 1\nfiles:\n  /usr: rq\n",
	  "3:9: /usr: got \"rq\", expected none, or letters of rwxc, each once" },
	{ "version: 1\nfiles:\n  /usr: rr\n",
	  "3:9: /usr: got \"rr\", expected none, or letters of rwxc, each once" },
	{ "version: 1\nfiles:\n  /usr: none r\n",
	  "3:9: /usr: got \"none r\", expected none, or letters of rwxc, each once" },
	{ "version: 1\nfiles:\n  /usr:\n",
	  "3:3: /usr: got nothing, expected none, or letters of rwxc, each once" },
	{ "version: 1\nfiles:\n  /usr: {}\n",
	  "3:9: /usr: got an empty map, expected none, or letters of rwxc, each once" },
	{ "version: 1\nfiles:\n  /usr: ''\n",
	  "3:9: /usr: got \"\", expected none, or letters of rwxc, each once" },
	{ "version: 1\nfiles:\n  default: all\n",
	  "3:12: default: got \"all\", expected none, or letters of rwxc, each once" },
	{ "version: 1\nfiles:\n  usr: r\n",
	  "3:3: bad path \"usr\": expected a path that begins with /, ~/, **/ or "
	  "${NAME}/" },
	{ "version: 1\nfiles:\n  /usr//lib: r\n",
	  "3:3: bad path \"/usr//lib\": an empty name between slashes" },
	{ "version: 1\nfiles:\n  /usr/../etc: r\n",
	  "3:3: bad path \"/usr/../etc\": .. is not allowed in a path: the kernel "
	  "sees the path without it" },
	{ "version: 1\nfiles:\n  /./etc: r\n",
	  "3:3: bad path \"/./etc\": . is not allowed in a path: the kernel sees "
	  "the path without it" },
	{ "version: 1\nfiles:\n  ~bob/x: r\n",
	  "3:3: bad path \"~bob/x\": ~user is not looked up: expected ~/ or the path "
	  "itself" },
	{ "version: 1\nfiles:\n  \"${PWD}/x\": r\n",
	  "3:3: bad path \"${PWD}/x\": unknown variable: expected ${WORKDIR}, ${HOME}, "
	  "${TMPDIR}, ${UID}, ${GITDIR}, ${GITWORKTREE} or ${GITLINK}" },
	{ "version: 1\nfiles:\n  \"/x${HOME}\": r\n",
	  "3:3: bad path \"/x${HOME}\": ${HOME} is a directory and can only begin "
	  "a path" },
	{ "version: 1\nfiles:\n  \"/x/${FOO}\": r\n",
	  "3:3: bad path \"/x/${FOO}\": unknown variable: expected ${WORKDIR}, ${HOME}, "
	  "${TMPDIR}, ${UID}, ${GITDIR}, ${GITWORKTREE} or ${GITLINK}" },
	{ "version: 1\nfiles:\n  \"/a**\": r\n",
	  "3:3: bad path \"/a**\": ** stands only alone between slashes: expected "
	  "*, or **/" },
	{ "version: 1\nfiles:\n  \"/a/[b\": r\n",
	  "3:3: bad path \"/a/[b\": [ without its ]: expected [a-z], or \\[ for the "
	  "character" },
	{ "version: 1\nfiles:\n  \"/a/[]\": r\n",
	  "3:3: bad path \"/a/[]\": an empty set: expected [a-z], or \\[ for the "
	  "character" },
	{ "version: 1\nfiles:\n  \"/a/[^b]\": r\n",
	  "3:3: bad path \"/a/[^b]\": [^\342\200\246] is not a set: expected [!\342\200\246"
	  "] for what is not in it, or [\\^\342\200\246]" },
	{ "version: 1\nfiles:\n  \"/a/{b,c}\": r\n",
	  "3:3: bad path \"/a/{b,c}\": {\342\200\246} is no alternative here: write "
	  "one rule for each, or \\{ for the character" },
	{ "version: 1\nfiles:\n  '/a/b\\': r\n",
	  "3:3: bad path \"/a/b\\\": a \\ must be followed by the character it quotes" },
	{ "version: 1\nfiles:\n  **/.env: none\n",
	  "3:3: a value that begins with * is an alias in YAML: quote it: \"**/.env\"" },
	{ "version: 1\nfiles:\n  /usr: r\n  /usr: w\n",
	  "4:3: duplicate key \"/usr\": it is already given at line 3" },
	{ "version: 1\nfiles:\n  /usr: r\n  /usr/: w\n",
	  "4:3: duplicate rule \"/usr/\": \"/usr\" at line 3 is the same path" },
	{ "version: 1\nfiles:\n  ~/x: r\n  \"${HOME}/x/**\": w\n",
	  "4:3: duplicate rule \"${HOME}/x/**\": \"~/x\" at line 3 is the same path" },
	{ "version: 1\nfiles:\n  /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaa: r\n",
	  "3:3: bad path \"/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\":"
	  " a name of more than 255 bytes" },
	{ "version: 1\nfiles:\n  ? [a]\n  : r\n",
	  "3:5: a key must be a word or a path, not a list or a map" },
	{ "version: &v 1\nmode: *v\n",
	  "1:13: anchors (&name) are not used here: write the value out, or "
	  "quote it if it is meant to begin with &" },
	{ "version: !!int 1\n",
	  "1:16: tags (!name) are not used here: remove it, or quote the value "
	  "if it is meant to begin with !" },
	{ "version: 1\nmode: \"a\\0b\"\n",
	  "2:7: a control character (0x00) in a value: expected printable text" },
	{ "version: 1\nmode: \"a\\nb\"\n",
	  "2:7: a control character (0x0a) in a value: expected printable text" },
	{ "version: 1\n\tmode: enforce\n",
	  "2:1: a tab at the beginning of a line: expected spaces" },
	{ "version: 1\nmode: [a\n",
	  "3:1: not valid YAML: flow sequence without a closing bracket" },
	{ "version: 1\nmode: 'enforce\n",
	  "2:8: not valid YAML: single-quoted scalar without closing quote" },
	{ "[[[[[[[[[[1]]]]]]]]]]",
	  "1:9: nested too deep: at most 8 levels" },
	{ "version: 1\negress: []\n",
	  "2:9: egress: got an empty list, expected a map" },
	{ "version: 1\negress:\n  alow: []\n",
	  "3:3: unknown key \"alow\" in egress: expected one of allow, deny, loopback, "
	  "listen, unix, sockets" },
	{ "version: 1\negress:\n  allow: pypi.org\n",
	  "3:10: allow: got \"pypi.org\", expected a list of destinations" },
	{ "version: 1\negress:\n  allow: [[]]\n",
	  "3:11: allow: got an empty list, expected a destination, or a map with "
	  "host and ports" },
	{ "version: 1\negress:\n  allow: [null]\n",
	  "3:11: allow: got nothing, expected a destination, or a map with host and "
	  "ports" },
	{ "version: 1\negress:\n  allow: [*.pypi.org]\n",
	  "3:11: a value that begins with * is an alias in YAML: quote it: \"*.pypi.org\" "
	  "or write .pypi.org" },
	{ "version: 1\negress:\n  allow:\n    - *.pypi.org\n",
	  "4:7: a value that begins with * is an alias in YAML: quote it: \"*.pypi.org\" "
	  "or write .pypi.org" },
	{ "version: 1\negress:\n  allow:\n    - @x\n",
	  "4:7: a value that begins with @ must be quoted: write \"@x\"" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.0\n",
	  "4:7: \"10.0.0.0\" is an address and needs a port: expected 10.0.0.0:PORT, "
	  "or :* for all" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.0/8\n",
	  "4:7: \"10.0.0.0/8\" is an address and needs a port: expected 10.0.0.0/8:PORT, "
	  "or :* for all" },
	{ "version: 1\negress:\n  allow:\n    - 10.1.0.0/8:80\n",
	  "4:7: \"10.1.0.0/8:80\" has bits set beyond its prefix length: did you "
	  "mean 10.0.0.0/8?" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.0/33:80\n",
	  "4:7: bad prefix length in \"10.0.0.0/33:80\": expected /0 to /32" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.0/08:80\n",
	  "4:7: bad prefix length in \"10.0.0.0/08:80\": expected /0 to /32" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.1:0\n",
	  "4:7: bad port in \"10.0.0.1:0\": expected 1 to 65535, a-b or *, then /tcp, "
	  "/udp, /sctp, or */icmp" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.1:65536\n",
	  "4:7: bad port in \"10.0.0.1:65536\": expected 1 to 65535, a-b or *, then "
	  "/tcp, /udp, /sctp, or */icmp" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.1:90-80\n",
	  "4:7: bad port in \"10.0.0.1:90-80\": expected 1 to 65535, a-b or *, then "
	  "/tcp, /udp, /sctp, or */icmp" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.1:80/ip\n",
	  "4:7: bad port in \"10.0.0.1:80/ip\": expected 1 to 65535, a-b or *, then "
	  "/tcp, /udp, /sctp, or */icmp" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.1:80,443\n",
	  "4:7: bad destination \"10.0.0.1:80,443\": expected HOST:PORT, ADDRESS/LEN:PORT "
	  "or [ADDRESS]/LEN:PORT" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.1:80/icmp\n",
	  "4:7: bad port in \"10.0.0.1:80/icmp\": expected 1 to 65535, a-b or *, "
	  "then /tcp, /udp, /sctp, or */icmp" },
	{ "version: 1\negress:\n  allow:\n    - \"[2001:db8::1]\"\n",
	  "4:7: \"[2001:db8::1]\" is an address and needs a port: expected [2001:db8::1]:PO"
	  "RT, or :* for all" },
	{ "version: 1\negress:\n  allow:\n    - \"2001:db8::1\"\n",
	  "4:7: \"2001:db8::1\" is an address and needs a port: expected [2001:db8::1]:PORT"
	  ", or :* for all" },
	{ "version: 1\negress:\n  allow:\n    - \"[2001:db8::1/64]:80\"\n",
	  "4:7: bad address in \"[2001:db8::1/64]:80\": expected [IPv6], as [2001:db8::1]" },
	{ "version: 1\negress:\n  allow:\n    - \"[2001:db8::1]/64:80\"\n",
	  "4:7: \"[2001:db8::1]/64:80\" has bits set beyond its prefix length: did "
	  "you mean [2001:db8::]/64?" },
	{ "version: 1\negress:\n  allow:\n    - \"[::g]:80\"\n",
	  "4:7: bad address in \"[::g]:80\": expected [IPv6], as [2001:db8::1]" },
	{ "version: 1\negress:\n  allow:\n    - \"[fe80::1%eth0]:80\"\n",
	  "4:7: bad destination \"[fe80::1%eth0]:80\": expected HOST:PORT, ADDRESS/LEN:PORT"
	  " or [ADDRESS]/LEN:PORT" },
	{ "version: 1\negress:\n  allow:\n    - \"[10.0.0.1]:80\"\n",
	  "4:7: bad address in \"[10.0.0.1]:80\": expected [IPv6], as [2001:db8::1]" },
	{ "version: 1\negress:\n  allow:\n    - https://pypi.org/\n",
	  "4:7: bad destination \"https://pypi.org/\": expected a host and a port, "
	  "not a URL" },
	{ "version: 1\negress:\n  allow:\n    - pypi..org\n",
	  "4:7: bad name \"pypi..org\": an empty label: expected letters, digits "
	  "or - between dots" },
	{ "version: 1\negress:\n  allow:\n    - -a.org\n",
	  "4:7: bad name \"-a.org\": label \"-a\" begins or ends with -" },
	{ "version: 1\negress:\n  allow:\n    - a_b!.org\n",
	  "4:7: bad name \"a_b!.org\": unexpected character '!': expected letters, "
	  "digits, - and dots" },
	{ "version: 1\negress:\n  allow:\n    - a.*.org\n",
	  "4:7: bad name \"a.*.org\": * stands only at the beginning, before a dot" },
	{ "version: 1\negress:\n  allow:\n    - \"*.\"\n",
	  "4:7: bad name \"*.\": expected 1 to 253 characters" },
	{ "version: 1\negress:\n  allow:\n    - \"*.*\"\n",
	  "4:7: bad name \"*.*\": * stands only at the beginning, before a dot" },
	{ "version: 1\negress:\n  allow:\n    - a.org..\n",
	  "4:7: bad name \"a.org..\": an empty label: expected letters, digits or - "
	  "between dots" },
	{ "version: 1\negress:\n  allow:\n    - a\342\235\244.de\n",
	  "4:7: bad name \"a\342\235\244.de\": string contains a disallowed character: expected "
	  "a name that IDNA allows, or its ASCII form (xn--\342\200\246)" },
	{ "version: 1\negress:\n  allow:\n    - a.org:53/udp\n",
	  "4:7: \"a.org:53/udp\" by udp: a server's name is only seen on TCP: expected tls: "
	  "off beside host, which lets any server at its addresses be reached, or an "
	  "address" },
	{ "version: 1\negress:\n  allow:\n    - {host: a.org, ports: ['*/icmp', 443]}\n",
	  "4:7: \"a.org\" by icmp: a server's name is only seen on TCP: expected tls: "
	  "off beside host, which lets any server at its addresses be reached, or an "
	  "address" },
	{ "version: 1\negress:\n  allow:\n    - {host: 10.0.0.1, ports: [3128], proxy: true}\n",
	  "4:46: proxy: 10.0.0.1 is an address, and only what is reached by name is looked "
	  "at: expected the proxy's name" },
	{ "version: 1\negress:\n  allow:\n    - {host: a.org, proxy: true, tls: off}\n",
	  "4:28: proxy: what is sent is not looked at with tls: off: expected one of them" },
	{ "version: 1\negress:\n  allow:\n    - xn--a.de\n",
	  "4:7: bad name \"xn--a.de\": label \"xn--a\" is not a valid IDNA label" },
	{ "version: 1\negress:\n  allow:\n    - xn--.de\n",
	  "4:7: bad name \"xn--.de\": label \"xn--\" begins or ends with -" },
	{ "version: 1\negress:\n  allow:\n    - ab--cd.de\n",
	  "4:7: bad name \"ab--cd.de\": label \"ab--cd\" is not a valid IDNA label" },
	{ "version: 1\negress:\n  allow:\n    - 2130706433:80\n",
	  "4:7: \"2130706433:80\" is neither a name nor an address: expected an address "
	  "such as 192.0.2.1 or [2001:db8::1]" },
	{ "version: 1\negress:\n  allow:\n    - 0x7f.1:80\n",
	  "4:7: \"0x7f.1:80\" is neither a name nor an address: expected an address "
	  "such as 192.0.2.1 or [2001:db8::1]" },
	{ "version: 1\negress:\n  allow:\n    - 10.1:80\n",
	  "4:7: \"10.1:80\" is neither a name nor an address: expected an address "
	  "such as 192.0.2.1 or [2001:db8::1]" },
	{ "version: 1\negress:\n  allow:\n    - aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  "aaaaaaaaaaaaaaaaaaaaa.org\n",
	  "4:7: bad name \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	  ".org\": a label of 64 bytes: expected at most 63" },
	{ "version: 1\negress:\n  allow:\n    - abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefg"
	  "h.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdef"
	  "gh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcde"
	  "fgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh\n",
	  "4:7: bad name \"abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.a"
	  "bcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh."
	  "abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh"
	  ".abcdefgh.abcdefgh.abcdefgh.abcdefgh.abcdefgh\": expected 1 to 253 characters" },
	{ "version: 1\negress:\n  allow:\n    - pypi.org/udp\n",
	  "4:7: bad destination \"pypi.org/udp\": expected HOST:PORT, ADDRESS/LEN:PORT "
	  "or [ADDRESS]/LEN:PORT, then /tcp or /udp" },
	{ "version: 1\negress:\n  allow:\n    - pypi.org:\n",
	  "4:7: unknown key \"pypi.org\" in a destination: expected one of host, "
	  "ports, tls, private, proxy, unsafe" },
	{ "version: 1\negress:\n  allow:\n    - pypi.org:http\n",
	  "4:7: bad port in \"pypi.org:http\": expected 1 to 65535, a-b or *, then "
	  "/tcp, /udp, /sctp, or */icmp" },
	{ "version: 1\negress:\n  allow:\n    - ''\n",
	  "4:7: bad destination \"\": expected HOST:PORT, ADDRESS/LEN:PORT or [ADDRESS]/LEN"
	  ":PORT" },
	{ "version: 1\negress:\n  allow:\n    - a b\n",
	  "4:7: bad destination \"a b\": expected HOST:PORT, ADDRESS/LEN:PORT or "
	  "[ADDRESS]/LEN:PORT" },
	{ "version: 1\negress:\n  allow:\n    - {ports: [1]}\n",
	  "4:7: a destination without a host: expected {host: NAME, ports: [\342\200\246]}" },
	{ "version: 1\negress:\n  allow:\n    - {host: a.org, port: 1}\n",
	  "4:21: unknown key \"port\" in a destination: expected one of host, ports, "
	  "tls, private, proxy, unsafe" },
	{ "version: 1\negress:\n  allow:\n    - {host: a.org, ports: []}\n",
	  "4:28: ports: got an empty list, expected a port, a range a-b or *, each "
	  "with /tcp, /udp or /sctp" },
	{ "version: 1\negress:\n  allow:\n    - {host: a.org, ports: [0]}\n",
	  "4:29: ports: got \"0\", expected a port, a range a-b or *, each with /tcp, "
	  "/udp or /sctp" },
	{ "version: 1\negress:\n  allow:\n    - {host: a.org, ports: [http]}\n",
	  "4:29: ports: got \"http\", expected a port, a range a-b or *, each with "
	  "/tcp, /udp or /sctp" },
	{ "version: 1\negress:\n  allow:\n    - {host: \"a.org:80\", ports: [1]}\n",
	  "4:14: \"a.org:80\" has ports of its own: expected only the host beside "
	  "`ports`" },
	{ "version: 1\negress:\n  allow:\n    - {host: a.org, private: yes}\n",
	  "4:30: private: got \"yes\", expected true or false" },
	{ "version: 1\negress:\n  allow:\n    - {host: a.org, tls: on}\n",
	  "4:26: tls: got \"on\", expected off or check" },
	{ "version: 1\negress:\n  allow:\n    - {host: 10.0.0.1, ports: [1], private: "
	  "true}\n",
	  "4:45: private: 10.0.0.1 is an address: expected a name" },
	{ "version: 1\negress:\n  allow:\n    - {host: 10.0.0.1, ports: [1], tls: "
	  "off}\n",
	  "4:41: tls: 10.0.0.1 is an address: expected a name" },
	{ "version: 1\negress:\n  allow:\n    - {host: 10.0.0.1}\n",
	  "4:14: \"10.0.0.1\" is an address and needs a port: expected 10.0.0.1:PORT, "
	  "or :* for all" },
	{ "version: 1\negress:\n  allow:\n    - {host: }\n",
	  "4:8: host: got nothing, expected a name or an address" },
	{ "version: 1\negress:\n  allow:\n    - {host: [a]}\n",
	  "4:14: host: got a list, expected a name or an address" },
	{ "version: 1\negress:\n  deny: [{host: a.org, unsafe: true}]\n",
	  "3:10: a denied destination takes only host and ports" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.1:80\n    - 10.0.0.1:80/tcp\n",
	  "5:7: allow: \"10.0.0.1:80/tcp\" is listed twice, first at line 4" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.1:80\n  deny: [10.0.0.1:80]\n",
	  "5:10: deny: \"10.0.0.1:80\" is allowed at line 4: expected one of the "
	  "two" },
	{ "version: 1\negress:\n  deny: [a.org, .a.org, A.org]\n",
	  "3:25: deny: \"A.org\" is listed twice, first at line 3" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.1:3128\n",
	  "4:7: \"10.0.0.1:3128\" hands the sandbox away: the proxy behind it reaches "
	  "everything: expected unsafe: true beside host if that is meant" },
	{ "version: 1\negress:\n  allow:\n    - proxy.example:3128\n",
	  "4:7: \"proxy.example:3128\" hands the sandbox away: the proxy behind it "
	  "reaches everything: expected proxy: true (names in CONNECT are judged), "
	  "or unsafe: true beside host if that is meant" },
	{ "version: 1\negress:\n  allow:\n    - 10.0.0.1:2375\n",
	  "4:7: \"10.0.0.1:2375\" hands the sandbox away: the container daemon behind "
	  "it runs anything as root: expected unsafe: true beside host if that is "
	  "meant" },
	{ "version: 1\negress: {loopback: others}\n",
	  "2:20: loopback: got \"others\", expected own, host, none, or a list of "
	  "own, host and ports of host listeners" },
	{ "version: 1\negress: {loopback: []}\n",
	  "2:20: loopback: got an empty list, expected own, host, none, or a list "
	  "of own, host and ports of host listeners" },
	{ "version: 1\negress: {loopback: [none, 80]}\n",
	  "2:20: loopback: none beside something else: expected none alone" },
	{ "version: 1\negress: {loopback: [70000]}\n",
	  "2:21: loopback: got \"70000\", expected own, host, none, or a list of "
	  "own, host and ports of host listeners" },
	{ "version: 1\negress: {loopback: 3128}\n",
	  "2:20: loopback port 3128 hands the sandbox away: the proxy behind it reaches "
	  "everything: expected {port: 3128, unsafe: true} if that is meant" },
	{ "version: 1\negress: {loopback: [{port: 80, safe: true}]}\n",
	  "2:32: unknown key \"safe\" in a loopback port: expected port or unsafe" },
	{ "version: 1\negress: {loopback: [{unsafe: true}]}\n",
	  "2:21: loopback: got a map, expected own, host, none, or a list of own, "
	  "host and ports of host listeners" },
	{ "version: 1\negress: {loopback: ['*']}\n",
	  "2:21: loopback: got \"*\", expected own, host, none, or a list of own, "
	  "host and ports of host listeners" },
	{ "version: 1\negress: {listen: all}\n",
	  "2:18: listen: got \"all\", expected own, host, any, none, or a map of "
	  "port ranges to these" },
	{ "version: 1\negress: {listen: {3000: everyone}}\n",
	  "2:25: 3000: got \"everyone\", expected own, host, any or none" },
	{ "version: 1\negress: {listen: {http: own}}\n",
	  "2:19: listen: got \"http\", expected a port or a range a-b, or default" },
	{ "version: 1\negress: {listen: {3000-3999: own, 3500: host}}\n",
	  "2:35: listen: 3500 overlaps 3000-3999 at line 2" },
	{ "version: 1\negress: {listen: {1: own, 2: own, 3: own, 4: own, 5: own, "
	  "6: own, 7: own, 8: own, 9: own}}\n",
	  "2:83: listen: at most 8 port ranges" },
	{ "version: 1\negress: {unix: /run/x}\n",
	  "2:16: unix: got \"/run/x\", expected a list of socket paths and @abstract "
	  "names" },
	{ "version: 1\negress: {unix: [run/x]}\n",
	  "2:17: bad unix socket \"run/x\": expected a path that begins with /, ~/ "
	  "or ${NAME}/, or @ and an abstract name" },
	{ "version: 1\negress: {unix: ['@']}\n",
	  "2:17: bad unix socket \"@\": no name after @" },
	{ "version: 1\negress: {unix: [{unsafe: true}]}\n",
	  "2:17: unix: got a map, expected a list of socket paths and @abstract names" },
	{ "version: 1\negress: {unix: [{path: /x, safe: 1}]}\n",
	  "2:28: unknown key \"safe\" in a unix socket: expected path or unsafe" },
	{ "version: 1\negress: {unix: ['**']}\n",
	  "2:17: bad unix socket \"**\": expected a path that begins with /, ~/ or "
	  "${NAME}/, or @ and an abstract name" },
	{ "version: 1\negress: {unix: ['@nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn']}\n",
	  "2:17: bad unix socket \"@nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
	  "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn\": an abstract name "
	  "of more than 107 bytes" },
	{ "version: 1\negress: {sockets: [tcp]}\n",
	  "2:20: sockets: got \"tcp\", expected raw, packet, vsock, ping, sctp, mptcp, "
	  "alg, bluetooth, can, xdp or netlink:NAME" },
	{ "version: 1\negress: {sockets: raw}\n",
	  "2:19: sockets: got \"raw\", expected a list of raw, packet, vsock, ping, "
	  "sctp, mptcp, alg, bluetooth, can, xdp or netlink:NAME" },
	{ "version: 1\negress: {sockets: ['netlink:foo']}\n",
	  "2:20: sockets: got \"netlink:foo\", expected netlink:route, sock_diag, "
	  "xfrm, selinux, audit, connector, netfilter, kobject_uevent, generic, crypto "
	  "or rdma" },
	{ "version: 1\nprivileges: [root]\n",
	  "2:14: privileges: got \"root\", expected mounts, userns, ptrace, net_admin, "
	  "bpf, sys_admin, ipc, keys, sys_nice, sys_resource, devices or \"io_uring off\"" },
	{ "version: 1\nprivileges: bpf\n",
	  "2:13: privileges: got \"bpf\", expected a list of mounts, userns, ptrace, "
	  "net_admin, bpf, sys_admin, ipc, keys, sys_nice, sys_resource, devices or "
	  "\"io_uring off\"" },
	{ "version: 1\nenv: {keep: A}\n",
	  "2:13: keep: got \"A\", expected a list of variable names, * and ? allowed" },
	{ "version: 1\nenv: {keep: ['A-B']}\n",
	  "2:14: keep: got \"A-B\", expected variable names, * and ? allowed" },
	{ "version: 1\nenv: {keep: [A], only: [B]}\n",
	  "2:6: env: keep beside only: expected one of them (only keeps nothing else)" },
	{ "version: 1\nenv: {set: [A]}\n",
	  "2:12: set: got a list, expected a map of names to values" },
	{ "version: 1\nenv: {set: {A: }}\n",
	  "2:13: A: got nothing, expected a value; quote an empty one or a number" },
	{ "version: 1\nenv: {set: {1A: x}}\n",
	  "2:13: set: got \"1A\", expected names of letters, digits and _" },
	{ "version: 1\nenv: {set: {LD_PRELOAD: x}}\n",
	  "2:13: set: LD_PRELOAD is not set by a policy: expected a name other than "
	  "LD_*, GCONV_PATH and EGRESSCTL_*" },
	{ "version: 1\nlimits: {memory: 4GB}\n",
	  "2:18: memory: got \"4GB\", expected bytes, with K, M, G or T, as 4G" },
	{ "version: 1\nlimits: {memory: 0}\n",
	  "2:18: memory: got \"0\", expected bytes, with K, M, G or T, as 4G" },
	{ "version: 1\nlimits: {memory: -1}\n",
	  "2:18: memory: got \"-1\", expected bytes, with K, M, G or T, as 4G" },
	{ "version: 1\nlimits: {memory: 99999999T}\n",
	  "2:18: memory: got \"99999999T\", expected bytes, with K, M, G or T, as "
	  "4G" },
	{ "version: 1\nlimits: {pids: many}\n",
	  "2:16: pids: got \"many\", expected a number from 1 to 4194304" },
	{ "version: 1\nlimits: {pids: 0}\n",
	  "2:16: pids: got \"0\", expected a number from 1 to 4194304" },
	{ "version: 1\nlimits: {cpu: 2}\n",
	  "2:15: cpu: got \"2\", expected per cent of one processor, as 200%" },
	{ "version: 1\nlimits: {time: 30}\n",
	  "2:16: time: got \"30\", expected a time in ms, s, m, h or d, as 30m" },
	{ "version: 1\nlimits: {time: 1w}\n",
	  "2:16: time: got \"1w\", expected a time in ms, s, m, h or d, as 30m" },
	{ "version: 1\nlimits: {disk: 1G}\n",
	  "2:10: unknown key \"disk\" in limits: expected one of memory, pids, cpu, "
	  "time" },
	{ "version: 1\nmode: enforce # x\n  - a\n",
	  "3:3: not valid YAML: wrong indendation in sequence while in mapping" },
	{ "version: 1\nfiles: {}\negress: {}\nx: 1\n",
	  "4:1: unknown key \"x\" in a policy: expected one of version, description, "
	  "extends, mode, egress, files, exec, privileges, env, limits, on-failure, require" },
	{ "version: 1\nextends: [a, a]\n",
	  "2:14: extends: \"a\" is listed twice" },
	{ "version: 1\nextends: {a: b}\n",
	  "2:10: extends: got a map, expected a list of policy names or ./paths" },
	{ "version: 1\nextends: [[a]]\n",
	  "2:11: extends: got a list, expected a list of policy names or ./paths" },
	{ "version: 1\negress: {unix: [/run/docker.sock]}\n",
	  "2:17: unix socket \"/run/docker.sock\" hands the sandbox away (/run/docker.sock:"
	  " the daemon behind it runs anything, outside of the sandbox): expected "
	  "{path: \"/run/docker.sock\", unsafe: true} if that is meant" },
	{ "version: 1\negress: {unix: ['/run/**']}\n",
	  "2:17: unix socket \"/run/**\" hands the sandbox away (/run/docker.sock: "
	  "the daemon behind it runs anything, outside of the sandbox): expected "
	  "{path: \"/run/**\", unsafe: true} if that is meant" },
	{ "version: 1\negress: {unix: [/var/run/dbus/system_bus_socket]}\n",
	  "2:17: unix socket \"/var/run/dbus/system_bus_socket\" hands the sandbox "
	  "away (/run/dbus/system_bus_socket: the service manager behind it starts "
	  "anything): expected {path: \"/var/run/dbus/system_bus_socket\", unsafe: "
	  "true} if that is meant" },
	{ "version: 1\negress: {unix: ['@/tmp/.X11-unix/*']}\n",
	  "2:17: unix socket \"@/tmp/.X11-unix/*\" hands the sandbox away (@/tmp/.X11-unix/"
	  "X0: the display server behind it lets the sandbox type into other windows): "
	  "expected {path: \"@/tmp/.X11-unix/*\", unsafe: true} if that is meant" },
	{ "version: 1\negress: {unix: [/var/run/nscd/socket]}\n",
	  "2:17: unix socket \"/var/run/nscd/socket\" hands the sandbox away (/run/nscd/soc"
	  "ket: the service behind it resolves names for the sandbox): expected {path: "
	  "\"/var/run/nscd/socket\", unsafe: true} if that is meant" },
	{ "version: 1\negress: {unix: ['/run/systemd/resolve/*']}\n",
	  "2:17: unix socket \"/run/systemd/resolve/*\" hands the sandbox away (/run/system"
	  "d/resolve/io.systemd.Resolve: the service behind it resolves names for "
	  "the sandbox): expected {path: \"/run/systemd/resolve/*\", unsafe: true} "
	  "if that is meant" },
	{ "version: 1\negress: {unix: [/srv/podman.sock]}\n",
	  "2:17: unix socket \"/srv/podman.sock\" hands the sandbox away (/srv/podman.sock:"
	  " the daemon behind it runs anything, outside of the sandbox): expected "
	  "{path: \"/srv/podman.sock\", unsafe: true} if that is meant" },
};

#endif
