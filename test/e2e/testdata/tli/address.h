/* An address of either family, and the transport that has it. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
};

static const char *device = "/dev/tcp";
static unsigned int addrlen = sizeof(struct sockaddr_in);

/* address reads one; from then on device and addrlen are its family's. */
static union address address(const char *text, int port)
{
	union address a;

	memset(&a, 0, sizeof a);
	if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1) {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons(port);
	} else if (inet_pton(AF_INET6, text, &a.v6.sin6_addr) == 1) {
		a.v6.sin6_family = AF_INET6;
		a.v6.sin6_port = htons(port);
		device = "/dev/tcp6";
		addrlen = sizeof a.v6;
	} else {
		fprintf(stderr, "no address: %s\n", text);
		exit(2);
	}
	return a;
}
