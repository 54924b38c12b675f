/* What tests run as a module of C: files by relative and absolute names, time,
   memory, numbers. Prints what it sees; exits with 1 where something fails. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static int fail(const char *what) {
	printf("%s: %s\n", what, strerror(errno));
	return 1;
}

static int files(const char *dir) {
	char name[512], other[512], text[64];
	struct stat st;
	snprintf(name, sizeof name, "%s/sub", dir);
	if (mkdir(name, 0755)) return fail("mkdir");
	snprintf(name, sizeof name, "%s/sub/a", dir);
	FILE *f = fopen(name, "w+");
	if (!f) return fail("fopen");
	if (fputs("hello, file\n", f) < 0 || fseek(f, 7, SEEK_SET) || !fgets(text, sizeof text, f)) return fail("rewind and read");
	if (strcmp(text, "file\n")) return fail("what was read");
	if (ftruncate(fileno(f), 5) || fflush(f) || fsync(fileno(f)) || fclose(f)) return fail("truncate and close");
	if (stat(name, &st) || st.st_size != 5) return fail("stat");
	snprintf(other, sizeof other, "%s/sub/b", dir);
	if (rename(name, other)) return fail("rename");
	if (stat(name, &st) == 0 || errno != ENOENT) return fail("it was renamed");
	snprintf(name, sizeof name, "%s/sub/link", dir);
	if (symlink("b", name)) return fail("symlink");
	ssize_t n = readlink(name, text, sizeof text);
	if (n != 1 || text[0] != 'b') return fail("readlink");
	int fd = open(name, O_WRONLY | O_APPEND);
	if (fd < 0 || write(fd, "!", 1) != 1 || close(fd)) return fail("append by a link");
	snprintf(name, sizeof name, "%s/sub", dir);
	DIR *d = opendir(name);
	if (!d) return fail("opendir");
	int entries = 0;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.') entries++;
	rewinddir(d);
	int again = 0;
	for (struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.') again++;
	closedir(d);
	if (entries != 2 || again != 2) return fail("entries of a directory");
	if (rmdir(name) == 0) return fail("a directory that is not empty was removed");
	snprintf(name, sizeof name, "%s/sub/link", dir);
	if (unlink(name) || stat(other, &st) || st.st_size != 6) return fail("unlink of a link");
	if (unlink(other)) return fail("unlink");
	snprintf(name, sizeof name, "%s/sub", dir);
	if (rmdir(name)) return fail("rmdir");
	puts("files are well");
	return 0;
}

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

int main(int argc, char **argv) {
	const char *what = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "files")) return files(argv[2]);
	if (!strcmp(what, "cat")) {
		FILE *f = fopen(argv[2], "r");
		if (!f) return fail(argv[2]);
		for (int c; (c = fgetc(f)) != EOF;) putchar(c);
		return 0;
	}
	if (!strcmp(what, "sort")) {
		int n = atoi(argv[2]), *v = malloc(n * sizeof *v);
		if (!v) return fail("malloc");
		uint32_t x = 1;
		for (int i = 0; i < n; i++) v[i] = (x = x * 1664525u + 1013904223u) >> 8;
		qsort(v, n, sizeof *v, compare);
		for (int i = 1; i < n; i++)
			if (v[i - 1] > v[i]) return fail("it is not sorted");
		printf("%d %d\n", v[0], v[n - 1]);
		return 0;
	}
	if (!strcmp(what, "copy")) { /* much input and output in small parts */
		char buf[4096];
		long total = 0;
		int in = open(argv[2], O_RDONLY), out = open(argv[3], O_WRONLY | O_CREAT | O_TRUNC, 0644);
		if (in < 0 || out < 0) return fail("open");
		for (ssize_t n; (n = read(in, buf, sizeof buf)) > 0; total += n)
			if (write(out, buf, n) != n) return fail("write");
		printf("%ld\n", total);
		return 0;
	}
	if (!strcmp(what, "malloc")) { /* takes no for an answer */
		long n = 0;
		while (malloc(1 << 20)) n++;
		printf("%ld\n", n);
		return 0;
	}
	printf("argc %d, %s\n", argc, getenv("HOME") ? getenv("HOME") : "no HOME");
	return 0;
}
