module nerdctlbuild

go 1.24.3

require (
	github.com/containerd/nerdctl/v2 v2.2.1
	github.com/containerd/nerdctl/mod/tigron v0.0.0-20250720235051-d775a8c42fbb
)

exclude github.com/containerd/nerdctl/mod/tigron v0.0.0
