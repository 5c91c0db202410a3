/*
 * Example 2 of tcp(7P) of illumos, 2019, as its page prints it. From the page:
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
#include <arpa/inet.h>

void
logmsg(struct sockaddr *s, int bytes)
{
        char dq[INET6_ADDRSTRLEN];

        switch (s->sa_family) {
        case AF_INET: {
                struct sockaddr_in *s4 = (struct sockaddr_in *)s;
                inet_ntop(AF_INET, &s4->sin_addr, dq, sizeof (dq));
                fprintf(stdout, "sent %d bytes to %s:%d\n",
                    bytes, dq, ntohs(s4->sin_port));
                break;
        }
        case AF_INET6: {
                struct sockaddr_in6 *s6 = (struct sockaddr_in6 *)s;
                inet_ntop(AF_INET6, &s6->sin6_addr, dq, sizeof (dq));
                fprintf(stdout, "sent %d bytes to [%s]:%d\n",
                    bytes, dq, ntohs(s6->sin6_port));
                break;
        }
        default:
                fprintf(stdout, "sent %d bytes to unknown client\n",
                    bytes);
                break;
        }
}

int
main(int argc, char *argv[])
{
        struct addrinfo hints, *gair, *p;
        int sfd, cfd;
        int slen, wlen, rv;

        if (argc != 3) {
                fprintf(stderr, "%s <port> <message>\n", argv[0]);
                return (1);
        }

        slen = strlen(argv[2]);

        memset(&hints, 0, sizeof (hints));
        hints.ai_family = PF_UNSPEC;
        hints.ai_socktype = SOCK_STREAM;
        hints.ai_flags = AI_PASSIVE;

        if ((rv = getaddrinfo(NULL, argv[1], &hints, &gair)) != 0) {
                fprintf(stderr, "getaddrinfo() failed: %s\n",
                    gai_strerror(rv));
                return (1);
        }

        for (p = gair; p != NULL; p = p->ai_next) {
                if ((sfd = socket(
                    p->ai_family,
                    p->ai_socktype,
                    p->ai_protocol)) == -1) {
                        perror("socket() failed");
                        continue;
                }

                if (bind(sfd, p->ai_addr, p->ai_addrlen) == -1) {
                        close(sfd);
                        perror("bind() failed");
                        continue;
                }

                break;
        }

        if (p == NULL) {
                fprintf(stderr, "server failed to bind()\n");
                return (1);
        }

        freeaddrinfo(gair);

        if (listen(sfd, 1024) != 0) {
                perror("listen() failed");
                return (1);
        }

        fprintf(stdout, "waiting for clients...\n");

        for (int times = 0; times < 5; times++) {
                struct sockaddr_storage stor;
                socklen_t alen = sizeof (stor);
                struct sockaddr *addr = (struct sockaddr *)&stor;

                if ((cfd = accept(sfd, addr, &alen)) == -1) {
                        perror("accept() failed");
                        continue;
                }

                wlen = 0;

                do {
                        wlen += write(cfd, argv[2] + wlen, slen - wlen);
                } while (wlen < slen);

                logmsg(addr, wlen);

                if (close(cfd) == -1) {
                        perror("close(cfd) failed");
                }
        }

        if (close(sfd) == -1) {
                perror("close(sfd) failed");
        }

        fprintf(stdout, "finished.\n");

        return (0);
}
