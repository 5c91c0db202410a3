package process

import (
	"os/exec"
	"syscall"
)

// StartDetached starts cmd in a session of its own (setsid(2)): no terminal's
// signal reaches it, and it is in nobody's job.
func StartDetached(cmd *exec.Cmd) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = new(syscall.SysProcAttr)
	}
	cmd.SysProcAttr.Setsid = true
	return cmd.Start()
}
