package holder

import (
	"context"
	"errors"
	"net"
	"os"

	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/tcpcni/tcpcni/cmd/tcpcni/ocilisten"
	"github.com/tcpcni/tcpcni/engine"
	"github.com/tcpcni/tcpcni/plugin"
)

// listenOCI takes listeners of container runtimes for this sandbox. The engine
// gets them over its control socket, as from everybody else: while it is being
// started anew they wait there.
func (h *Holder) listenOCI(dir string) (*ocilisten.Listener, error) {
	l, err := ocilisten.Listen(plugin.ListenerAt(dir))
	if err != nil {
		return nil, err
	}
	go func() {
		err := l.Serve(context.Background(), func(_ *specs.ContainerProcessState, listener *os.File) error {
			c, err := engine.Dial(h.cfg.ControlPath)
			if err != nil {
				return err
			}
			defer func() { _ = c.Close() }()
			return c.Attach(listener)
		})
		if err != nil && !errors.Is(err, net.ErrClosed) {
			h.log.Error("seccomp agent", "error", err)
		}
	}()
	return l, nil
}
