/* Parses the head on standard input N times with picohttpparser, after 10,000 times to warm up, and prints how many
   nanoseconds the N times took.

   cc -O2 picohttpparser.c -l:libh2o.so.0.13 && ./a.out request|response N < HEAD */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct phr_header {
    const char *name;
    size_t name_len;
    const char *value;
    size_t value_len;
};

int phr_parse_request(const char *buf, size_t len, const char **method, size_t *method_len, const char **path,
                      size_t *path_len, int *minor_version, struct phr_header *headers, size_t *num_headers,
                      size_t last_len);
int phr_parse_response(const char *buf, size_t len, int *minor_version, int *status, const char **msg, size_t *msg_len,
                       struct phr_header *headers, size_t *num_headers, size_t last_len);

int main(int argc, char **argv) {
    static char head[16384];
    size_t length = fread(head, 1, sizeof head, stdin);
    if (argc != 3)
        return 2;
    unsigned long n = strtoul(argv[2], NULL, 10);
    int is_request = !strcmp(argv[1], "request");
    const unsigned long warm_up = 10000;
    struct timespec start, end;
    for (unsigned long i = 0; i < warm_up + n; i++) {
        if (i == warm_up)
            clock_gettime(CLOCK_MONOTONIC, &start);
        struct phr_header headers[24];
        size_t count = 24, a_length, b_length;
        const char *a, *b;
        int minor_version, status;
        int parsed = is_request ? phr_parse_request(head, length, &a, &a_length, &b, &b_length, &minor_version, headers,
                                                    &count, 0)
                                : phr_parse_response(head, length, &minor_version, &status, &a, &a_length, headers,
                                                     &count, 0);
        if (parsed != (int)length)
            return 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lld\n", (end.tv_sec - start.tv_sec) * 1000000000LL + end.tv_nsec - start.tv_nsec);
    return 0;
}
