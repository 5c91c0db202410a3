package plugin

import (
	"fmt"
	"runtime"

	"github.com/containernetworking/cni/pkg/skel"
	"github.com/containernetworking/cni/pkg/types"
	"github.com/containernetworking/cni/pkg/version"

	"github.com/tcpcni/tcpcni/hostlink/process"
)

// Versions are those of the CNI specification that the plugin speaks.
var Versions = version.PluginSupports("0.3.1", "0.4.0", "1.0.0", "1.1.0")

// Main runs the verb that the CNI_ variables of the environment name and does
// not return on an error. about goes to standard error when there is no verb.
func Main(about string) {
	// The host is the namespace of the thread that the runtime started.
	runtime.LockOSThread()
	// A runtime's descriptors are not for the engine.
	if err := process.CloseOnExecFrom(3); err != nil {
		_ = types.NewError(types.ErrInternal, fmt.Sprintf("descriptors: %v", err), "").Print()
	}
	skel.PluginMainFuncs(funcs, Versions, about)
}

var funcs = skel.CNIFuncs{
	Add:    coded(cmdAdd),
	Del:    coded(cmdDel),
	Check:  coded(cmdCheck),
	GC:     coded(cmdGC),
	Status: coded(cmdStatus),
}
