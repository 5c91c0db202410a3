// Package sockopt is the one place that knows socket options: a table with one
// row per option, a table of tunables (the sysctls of a sandbox), and profiles,
// which choose the rows and values that one system's sockets have.
//
// The package is pure. A socket of netstack implements Target and keeps its
// settings in an Options; Profile.Set and Profile.Get translate between the
// bytes that a program passes to setsockopt(2) and getsockopt(2) and those
// fields, with the limits, privileges, rounding and error numbers of the
// profile's system.
//
// To add an option: add an ID, a field of Options when it has state, and one row
// in the table of its level (table_socket.go, table_tcp.go, table_ip.go,
// table_ipv6.go). An option that has no row is ENOPROTOOPT. An option whose
// effect the stack does not have gets a row with Refuse, never a row that keeps
// the value and does nothing.
package sockopt
