/* Prints what getifaddrs(3) knows: name, family, address, prefix mask. */
#include <arpa/inet.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

static const void *
inaddr(const struct sockaddr *sa)
{
	if (sa->sa_family == AF_INET)
		return (&((const struct sockaddr_in *)sa)->sin_addr);
	return (&((const struct sockaddr_in6 *)sa)->sin6_addr);
}

int
main(void)
{
	struct ifaddrs *all, *p;
	char addr[INET6_ADDRSTRLEN], mask[INET6_ADDRSTRLEN];

	if (getifaddrs(&all) == -1) {
		perror("getifaddrs");
		return (1);
	}
	for (p = all; p != NULL; p = p->ifa_next) {
		if (p->ifa_addr == NULL || (p->ifa_addr->sa_family != AF_INET &&
		    p->ifa_addr->sa_family != AF_INET6))
			continue;
		inet_ntop(p->ifa_addr->sa_family, inaddr(p->ifa_addr), addr, sizeof (addr));
		inet_ntop(p->ifa_addr->sa_family, inaddr(p->ifa_netmask), mask, sizeof (mask));
		printf("%s %s %s%s\n", p->ifa_name, addr, mask,
		    p->ifa_flags & IFF_RUNNING ? " running" : "");
	}
	freeifaddrs(all);
	return (0);
}
