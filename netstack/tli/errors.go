package tli

import (
	"errors"

	"github.com/tcpcni/tcpcni/sockopt/errno"
)

// Error is a value of t_errno, by the numbers of the XTI specification.
type Error int

// The errors that this provider has.
const (
	TBADADDR      Error = 1  // the address is of no use
	TBADOPT       Error = 2  // options in the wrong format
	TACCES        Error = 3  // no permission for the address
	TBADF         Error = 4  // no such endpoint
	TNOADDR       Error = 5  // no address could be allocated
	TOUTSTATE     Error = 6  // not in this state
	TBADSEQ       Error = 7  // no such connection indication
	TSYSERR       Error = 8  // see SystemError
	TLOOK         Error = 9  // an event has to be looked at first
	TBADDATA      Error = 10 // an amount of data that is not allowed
	TFLOW         Error = 12 // flow control: nothing can be sent now
	TNODATA       Error = 13 // nothing to report yet
	TNODIS        Error = 14 // no disconnect indication
	TBADFLAG      Error = 16 // flags that are not allowed
	TNOREL        Error = 17 // no orderly release indication
	TBADNAME      Error = 21 // no such transport provider
	TBADQLEN      Error = 22 // the endpoint does not listen
	TADDRBUSY     Error = 23 // the address is in use
	TINDOUT       Error = 24 // other connection indications are outstanding
	TPROVMISMATCH Error = 25 // the endpoints are of different providers
	TRESQLEN      Error = 26 // the endpoint that is to take a connection listens itself
	TQFULL        Error = 28 // as many indications are outstanding as were asked for
)

var errorNames = map[Error]string{
	TBADADDR: "TBADADDR", TBADOPT: "TBADOPT", TACCES: "TACCES", TBADF: "TBADF", TNOADDR: "TNOADDR", TOUTSTATE: "TOUTSTATE",
	TBADSEQ: "TBADSEQ", TSYSERR: "TSYSERR", TLOOK: "TLOOK", TBADDATA: "TBADDATA", TFLOW: "TFLOW", TNODATA: "TNODATA",
	TNODIS: "TNODIS", TBADFLAG: "TBADFLAG", TNOREL: "TNOREL", TBADNAME: "TBADNAME", TBADQLEN: "TBADQLEN", TADDRBUSY: "TADDRBUSY",
	TINDOUT: "TINDOUT", TPROVMISMATCH: "TPROVMISMATCH", TRESQLEN: "TRESQLEN", TQFULL: "TQFULL",
}

// Error is the name of the error.
func (e Error) Error() string {
	if name := errorNames[e]; name != "" {
		return name
	}
	return "t_errno unknown"
}

// A SystemError is TSYSERR with the errno that explains it.
type SystemError struct{ Errno errno.Errno }

func (e *SystemError) Error() string { return "TSYSERR: " + e.Errno.Error() }

// Is makes errors.Is(err, TSYSERR) true.
func (e *SystemError) Is(target error) bool { return target == TSYSERR }

// asErrno is err of a call to the stack, which is an errno.
func asErrno(err error) errno.Errno {
	e := errno.EIO
	errors.As(err, &e)
	return e
}

func system(err error) error { return &SystemError{asErrno(err)} }

// bindErrors are what errors of binding mean. One that is not here is TSYSERR.
var bindErrors = map[errno.Errno]Error{
	errno.EACCES: TACCES, errno.EADDRINUSE: TADDRBUSY, errno.EADDRNOTAVAIL: TNOADDR, errno.EAFNOSUPPORT: TBADADDR,
}

// connectErrors are those of Connect that come at once; with others the
// connection is disconnected, see Endpoint.Connect.
var connectErrors = map[errno.Errno]Error{
	errno.EADDRINUSE: TADDRBUSY, errno.EADDRNOTAVAIL: TADDRBUSY, errno.EAGAIN: TADDRBUSY, errno.EAFNOSUPPORT: TBADADDR,
}

func bindError(err error) error {
	if t, ok := bindErrors[asErrno(err)]; ok {
		return t
	}
	return system(err)
}
