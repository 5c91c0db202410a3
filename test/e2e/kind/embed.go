package main

import _ "embed"

var (
	//go:embed files/containerd.toml
	containerdConfig string
	//go:embed files/cluster.yaml
	clusterConfig string
	//go:embed files/nginx.conf
	nginxConfig string
)
