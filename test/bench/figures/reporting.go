package figures

// Free page reporting (mm/page_reporting.c): the kernel of a virtual machine tells
// its host about free memory, the host takes it away, and who is given that memory
// next waits for the host at every page. Whether and how often a path meets such
// memory then decides its numbers.

import (
	"os"
	"strconv"
	"strings"
)

// reportingOrder is where the kernel says how large a free block, as a power of two
// in pages, has to be to be reported.
const reportingOrder = "/sys/module/page_reporting/parameters/page_reporting_order"

// reportedFrom is the size in KiB from which on free blocks are reported; 0: none
// are, or nobody says so.
func reportedFrom() int {
	// What nobody has registered for has order -1, beyond 10 there are no blocks.
	text, err := os.ReadFile(reportingOrder)
	order, bad := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || bad != nil || order < 0 || order > 10 {
		return 0
	}
	return os.Getpagesize() >> 10 << order
}
