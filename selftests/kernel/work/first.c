// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * A workload whose very first instructions try what is refused: open a file, connect. Then it
 * writes how that went, and ends. Linked statically, so that nothing runs before.
 *
 *	first FILE ADDRESS PORT RESULT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int file = open(argv[1], O_RDONLY), opened = file < 0 ? errno : 0;
	struct sockaddr_in to = { .sin_family = AF_INET };
	int sock = socket(AF_INET, SOCK_STREAM, 0), connected, out;
	char text[64];

	if (argc != 5)
		return 2;
	to.sin_port = htons((unsigned short)atoi(argv[3]));
	if (inet_pton(AF_INET, argv[2], &to.sin_addr) != 1)
		return 2;
	connected = connect(sock, (struct sockaddr *)&to, sizeof(to)) ? errno : 0;
	out = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC, 0644);
	snprintf(text, sizeof(text), "open %s connect %s\n", strerrorname_np(opened),
		 strerrorname_np(connected));
	return write(out, text, strlen(text)) < 0;
}
