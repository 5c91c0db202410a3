/*
 * Example 1 of tcp(7P) of illumos, 2019, as its page prints it. From the page:
 *
 * This file and its contents are supplied under the terms of the
 * Common Development and Distribution License ("CDDL"), version 1.0.
 * You may only use this file in accordance with the terms of version
 * 1.0 of the CDDL. A copy of the CDDL is also available via the
 * Internet at http://www.illumos.org/license/CDDL.
 *
 * Copyright (c) 2006, Sun Microsystems, Inc. All Rights Reserved.
 * Copyright (c) 2011 Nexenta Systems, Inc. All rights reserved.
 * Copyright 2019 Joyent, Inc.
 * Copyright 1989 AT&T
 */
#include <sys/socket.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int
main(int argc, char *argv[])
{
        struct addrinfo hints, *gair, *p;
        int fd, rv, rlen;
        char buf[1024];
        int y = 1;

        if (argc != 3) {
                fprintf(stderr, "%s <host> <port>\n", argv[0]);
                return (1);
        }

        memset(&hints, 0, sizeof (hints));
        hints.ai_family = PF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;

        if ((rv = getaddrinfo(argv[1], argv[2], &hints, &gair)) != 0) {
                fprintf(stderr, "getaddrinfo() failed: %s\n",
                    gai_strerror(rv));
                return (1);
        }

        for (p = gair; p != NULL; p = p->ai_next) {
                if ((fd = socket(
                    p->ai_family,
                    p->ai_socktype,
                    p->ai_protocol)) == -1) {
                        perror("socket() failed");
                        continue;
                }

                if (connect(fd, p->ai_addr, p->ai_addrlen) == -1) {
                        close(fd);
                        perror("connect() failed");
                        continue;
                }

                break;
        }

        if (p == NULL) {
                fprintf(stderr, "failed to connect to server\n");
                return (1);
        }

        freeaddrinfo(gair);

        if (setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &y,
            sizeof (y)) == -1) {
                perror("setsockopt(SO_KEEPALIVE) failed");
                return (1);
        }

        while ((rlen = read(fd, buf, sizeof (buf))) > 0) {
                fwrite(buf, rlen, 1, stdout);
        }

        if (rlen == -1) {
                perror("read() failed");
        }

        fflush(stdout);

        if (close(fd) == -1) {
                perror("close() failed");
        }

        return (0);
}
