package plugin

// Codes of errors: CNI specification 1.1.0, section 5, "Error". Codes from 100
// on are the plugin's own; docs/cni.md has the table.

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"

	"github.com/tcpcni/tcpcni/hostlink/process"
)

// Codes of the plugin's own.
const (
	ErrAttached uint = 100 // ADD of what is attached and works
	ErrDevice   uint = 101 // a device, an address, a route, a rule could not be made or taken away
	ErrEngine   uint = 102 // the engine did not start or does not answer
	ErrDiffers  uint = 103 // CHECK: something is not as ADD left it
)

// A verb's errors get a code here, once: what has one already keeps it, however
// deep it is wrapped, and the rest of the text becomes the details.
func coded(verb func(*skel.CmdArgs) error) func(*skel.CmdArgs) error {
	return func(args *skel.CmdArgs) error {
		err := verb(args)
		if err == nil {
			return nil
		}
		return asError(err)
	}
}

// asError makes the error that the runtime gets to read.
func asError(err error) *types.Error {
	for {
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok || len(joined.Unwrap()) != 1 {
			break
		}
		err = joined.Unwrap()[0]
	}
	if e, ok := err.(*types.Error); ok {
		return e
	}
	var (
		inner *types.Error
		field *FieldError
		path  *fs.PathError
	)
	switch {
	case errors.As(err, &inner):
		// Whoever prints an error puts the message before the details.
		details := strings.TrimPrefix(err.Error(), inner.Msg)
		return types.NewError(inner.Code, inner.Msg, strings.TrimLeft(details, "; \n"))
	case errors.As(err, &field):
		return invalid(err).(*types.Error)
	case errors.Is(err, process.ErrLocked):
		return types.NewError(types.ErrTryAgainLater, "another verb works on this attachment", err.Error())
	case errors.As(err, &path):
		return types.NewError(types.ErrIOFailure, "a file", err.Error())
	}
	return types.NewError(types.ErrInternal, "failed", err.Error())
}

// failed gives an error a code and a message unless it has a code already.
func failed(code uint, msg string, err error) error {
	if err == nil || errors.As(err, new(*types.Error)) || errors.As(err, new(*FieldError)) {
		return err
	}
	return types.NewError(code, msg, err.Error())
}
