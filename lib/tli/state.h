/*
 * The state table of the XTI specification: what state an event leads to, by the
 * state that it happens in; -1: it cannot be. It is the table of netstack/tli,
 * whose tests compare the two.
 */
enum event {
	EV_OPENED,
	EV_BIND,
	EV_OPTMGMT,
	EV_UNBIND,
	EV_CLOSED,
	EV_CONNECT1,
	EV_CONNECT2,
	EV_ACCEPT1,
	EV_ACCEPT2,
	EV_ACCEPT3,
	EV_SND,
	EV_SNDDIS1,
	EV_SNDDIS2,
	EV_SNDREL,
	EV_LISTEN,
	EV_RCVCONNECT,
	EV_RCV,
	EV_RCVDIS1,
	EV_RCVDIS2,
	EV_RCVDIS3,
	EV_RCVREL,
	EV_PASSCONN,
	EV_COUNT
};

static const signed char next_state[EV_COUNT][8] = {
	{1, -1, -1, -1, -1, -1, -1, -1},  /* opened */
	{-1, 2, -1, -1, -1, -1, -1, -1},  /* bind */
	{-1, 1, 2, 3, 4, 5, 6, 7},        /* optmgmt */
	{-1, -1, 1, -1, -1, -1, -1, -1},  /* unbind */
	{-1, 0, 0, 0, 0, 0, 0, 0},        /* closed */
	{-1, -1, 5, -1, -1, -1, -1, -1},  /* connect1 */
	{-1, -1, 3, -1, -1, -1, -1, -1},  /* connect2 */
	{-1, -1, -1, -1, 5, -1, -1, -1},  /* accept1 */
	{-1, -1, -1, -1, 2, -1, -1, -1},  /* accept2 */
	{-1, -1, -1, -1, 4, -1, -1, -1},  /* accept3 */
	{-1, -1, -1, -1, -1, 5, -1, 7},   /* snd */
	{-1, -1, -1, 2, 2, 2, 2, 2},      /* snddis1 */
	{-1, -1, -1, -1, 4, -1, -1, -1},  /* snddis2 */
	{-1, -1, -1, -1, -1, 6, -1, 2},   /* sndrel */
	{-1, -1, 4, -1, 4, -1, -1, -1},   /* listen */
	{-1, -1, -1, 5, -1, -1, -1, -1},  /* rcvconnect */
	{-1, -1, -1, -1, -1, 5, 6, -1},   /* rcv */
	{-1, -1, -1, 2, -1, 2, 2, 2},     /* rcvdis1 */
	{-1, -1, -1, -1, 2, -1, -1, -1},  /* rcvdis2 */
	{-1, -1, -1, -1, 4, -1, -1, -1},  /* rcvdis3 */
	{-1, -1, -1, -1, -1, 7, 2, -1},   /* rcvrel */
	{-1, 5, 5, -1, -1, -1, -1, -1},   /* pass_conn */
};
