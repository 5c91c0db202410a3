/*
 * Options that the profiles of tcpcni have and Linux has not, for setsockopt(2)
 * and getsockopt(2) of programs that are compiled on Linux. An option that
 * Linux has is called by Linux's number in every profile.
 *
 * Written from the option table by "go test ./sockopt -run Header -update".
 */
#ifndef TCPCNI_H
#define TCPCNI_H

/* Level SOL_SOCKET. */

/* Level IPPROTO_TCP: 0x01SSNNNN, option NNNN of system SS. */

#endif
