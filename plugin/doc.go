// Package plugin is tcpcni as a CNI plugin: ADD, DEL, CHECK, STATUS, GC and
// VERSION of the Container Network Interface specification 1.1.0.
//
// An attachment has two TAP devices and one engine process between them:
//
//	host's namespace                               sandbox's namespace
//
//	  tcp4beea56a0875 ◀──── engine: netstack ────▶ eth0
//	  (uplink TAP)          answers for the        (inner TAP, carries the
//	                        sandbox's addresses     addresses for all to see)
//
// With "uplink":"ptp" the uplink TAP carries the gateway's address as a /32
// (IPv6: /128) and the host has a route to each address of the sandbox:
//
//	host     10.87.0.2/32 dev tcp4beea56a0875
//	sandbox  10.87.0.1/32 dev eth0                 (the gateway itself)
//	         10.87.0.0/24 via 10.87.0.1 dev eth0   (neighbours go through the host)
//	         0.0.0.0/0    via 10.87.0.1 dev eth0   (from IPAM)
//
// With "uplink":"bridge" the TAP is a port of the bridge, which carries the
// gateway's address with the prefix of the subnet; the sandbox's neighbours are
// on its link.
//
// With "uplink":"chained" it is the interface of the plugin before, see
// chained.go.
//
// The engine gets the same addresses and routes as eth0. Everything that an
// attachment left on the machine can be found again from the container ID, the
// interface name and the state directory, so DEL works when the engine, the
// namespace or the record of the attachment is gone.
package plugin
