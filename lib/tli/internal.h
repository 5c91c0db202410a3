/* What the files of the library have in common. */

/* tli_manageable is 0 when t_optmgmt may be called, with the socket's family. */
int tli_manageable(int fd, int *family) __attribute__((visibility("hidden")));
