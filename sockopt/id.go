package sockopt

// ID names an option apart from its number, which depends on level and system.
type ID uint8

// The options that a table may have.
const (
	None ID = iota

	Debug
	ReuseAddr
	ReusePort
	SockType
	SockError
	DontRoute
	Broadcast
	SndBuf
	RcvBuf
	SndBufForce
	RcvBufForce
	BufLock
	KeepAlive
	OOBInline
	Priority
	Linger
	BSDCompat
	RcvLowat
	SndLowat
	RcvTimeo
	SndTimeo
	AcceptConn
	Protocol
	Domain
	BindToDevice
	BindToIfindex
	Mark
	MaxPacingRate
	IncomingCPU
	BusyPoll
	BusyPollBudget
	PreferBusyPoll
	Timestamp
	RxqOvfl
	Timestamping
	PeekOff
	Cookie

	NoDelay
	MaxSeg
	Cork
	KeepIdle
	KeepIntvl
	KeepCnt
	SynCnt
	Linger2
	DeferAccept
	WindowClamp
	Info
	QuickAck
	Congestion
	UserTimeout
	NotSentLowat
	IsMPTCP
	MD5SigKey // a key for a peer
	AOAddKey
	AODelKey
	AOInfoID
	AOGetKeys
	FastOpen
	FastOpenConnect
	FastOpenKey
	FastOpenNoCookie
	CCInfo
	SaveSYN
	SavedSYN
	Inq
	ULP
	TxDelay
	ThinLinear
	ThinDupAck
	UDPSegment
	UDPGRO

	TOS
	TTL
	IPOptions
	PktInfo4
	MTUDiscover
	MTU
	RecvErr
	FreeBind
	MinTTL
	BindNoPort
	MulticastTTL
	MulticastLoop
	MulticastAll
	LocalPortRange

	V6Only
	HopLimit
	TClass
	MTUDiscover6
	MTU6
	RecvErr6
	PktInfo6
	StickyPktInfo6
	UnicastIf4
	UnicastIf6
	MulticastHops
	MulticastLoop6
	MulticastAll6
	FreeBind6
	RecvTTL
	RecvTOS
	RecvOpts
	RetOpts
	DontFrag6
	OrigDstAddr
	RecvHopLimit
	RecvHopLimit2292
	RecvTClass
	OrigDstAddr6
	MinHopCount

	// Of illumos and OmniOS.
	ExclBind
	ReusePortLB
	InitCwnd
	NotifyThreshold
	AbortThreshold
	ConnNotifyThreshold
	ConnAbortThreshold
	KeepAliveThreshold
	KeepAliveAbort
	RTOInitial
	RTOMin
	RTOMax
	RTOVarMin
	DelAckMax
	AnonPrivBind
	RecvDstAddr
	MD5Sig // as an int: switched on, the keys are elsewhere

	// Of FreeBSD.
	NoOpt
	KeepInit
	CCAlgoOpt
	FunctionBlk

	numIDs // how many there are
)
