/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the keys of a com string ask for, and what two such strings would collide on. */
#include "serial-plan.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define COM_MAX        256u
#define LOCAL_PREFIX   "\\\\.\\"
#define PIPE_PREFIX    LOCAL_PREFIX "pipe\\"
#define SYSTEM_TARGETS "/run/kdsrv/targets"
#define NAME_MAX_BYTES 255u

static gboolean
is_number(const char *text)
{
    return text[0] != '\0' && strspn(text, "0123456789") == strlen(text);
}

/* The number behind `com`. Returns: (nullable): the path */
static char *
parse_com(const char *port, const char *digits, GError **error)
{
    guint64 number = 0;
    if (!g_ascii_string_to_unsigned(digits, 10, 1, COM_MAX, &number, NULL)) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "com: port=%s: com1 to com%u are known", port, COM_MAX);
        return NULL;
    }
    return g_strdup_printf("/dev/ttyS%u", (unsigned)number - 1);
}

/* `com2`, `\\.\com2`, `ttyUSB0` or a path. Returns: (nullable): the path */
static char *
parse_line(const char *port, GError **error)
{
    gboolean is_local = g_str_has_prefix(port, LOCAL_PREFIX);
    const char *name = is_local ? port + strlen(LOCAL_PREFIX) : port;
    if (g_ascii_strncasecmp(name, "com", 3) == 0 && is_number(name + 3)) {
        return parse_com(port, name + 3, error);
    }
    if (is_number(name)) {
        g_autofree char *path = parse_com(port, name, error);
        if (path != NULL) {
            g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID, "com: port=%s: write port=com%s",
                        port, name);
        }
    } else if (g_ascii_strncasecmp(port, PIPE_PREFIX, strlen(PIPE_PREFIX)) == 0) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "com: port=%s: a pipe: write com:pipe,port=%s", port, port);
    } else if (!is_local && g_path_is_absolute(name)) {
        return g_strdup(name);
    } else if (!is_local && g_str_has_prefix(name, "tty") && strchr(name, '/') == NULL) {
        return g_build_filename("/dev", name, NULL);
    } else {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "com: port=%s: neither com1 and so on nor the path of a line", port);
    }
    return NULL;
}

/**
 * serial_plan_build_targets_folders:
 *
 * Returns: (transfer full): where sockets of targets are: the system's folder, and the user's own
 *    if there is a run-time folder; both may be missing
 */
char **
serial_plan_build_targets_folders(void)
{
    char **folders = g_new0(char *, 3);
    /* not g_get_user_runtime_dir(): without the variable that is a cache folder */
    const char *own = g_getenv("XDG_RUNTIME_DIR");
    folders[0] = g_strdup(SYSTEM_TARGETS);
    if (own != NULL && g_path_is_absolute(own)) {
        folders[1] = g_build_filename(own, "kdsrv", "targets", NULL);
    }
    return folders;
}

/**
 * serial_plan_build_targets_folder:
 *
 * Returns: (transfer full): where the sockets are that `\\.\pipe\N` means: the user's own folder,
 * or the system's for root and where there is no other
 */
char *
serial_plan_build_targets_folder(void)
{
    g_auto(GStrv) folders = serial_plan_build_targets_folders();
    return g_strdup(geteuid() == 0 || folders[1] == NULL ? folders[0] : folders[1]);
}

/* The N of `\\.\pipe\N`. Returns: (nullable): the path of the socket */
static char *
parse_pipe_name(const char *port, GError **error)
{
    const char *name = port + strlen(PIPE_PREFIX);
    if (name[0] == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strpbrk(name, "/\\") != NULL || strlen(name) > NAME_MAX_BYTES) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "com: port=%s: behind " PIPE_PREFIX " the name of one file, at most %u bytes "
                    "without / and \\",
                    port, NAME_MAX_BYTES);
        return NULL;
    }
    g_autofree char *folder = serial_plan_build_targets_folder();
    return g_build_filename(folder, name, NULL);
}

static char *
parse_pipe(const char *port, GError **error)
{
    if (g_path_is_absolute(port)) {
        return g_strdup(port);
    }
    if (g_ascii_strncasecmp(port, PIPE_PREFIX, strlen(PIPE_PREFIX)) == 0) {
        return parse_pipe_name(port, error);
    }
    if (g_str_has_prefix(port, "\\\\") && !g_str_has_prefix(port, LOCAL_PREFIX)) {
        g_set_error(error, KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                    "com: port=%s: a pipe of another machine can't be opened from here: run kdsrv "
                    "there, or let that machine offer it by TCP and write "
                    "com:ipport=PORT,port=HOST",
                    port);
        return NULL;
    }
    g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                "com: port=%s: with pipe the path of the virtual machine's socket or terminal, "
                "or " PIPE_PREFIX "NAME",
                port);
    return NULL;
}

static char *
parse_host(const char *port, GError **error)
{
    if (port[0] != '\0' && strpbrk(port, "/\\") == NULL) {
        return g_strdup(port);
    }
    g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                "com: port=%s: with ipport the name or the address of a host", port);
    return NULL;
}

static gboolean
has_control(const char *text)
{
    for (const char *at = text; *at != '\0'; at = g_utf8_next_char(at)) {
        if (g_unichar_iscntrl(g_utf8_get_char(at))) {
            return TRUE;
        }
    }
    return FALSE;
}

static gboolean
get_flag(GVariant *params, const char *key)
{
    gboolean is_set = FALSE;
    return g_variant_lookup(params, key, "b", &is_set) && is_set;
}

/* What other keys make of port= */
static gboolean
read_kind(SerialPlan *plan, GVariant *params, const char *port, GError **error)
{
    guint64 ip_port = 0;
    guint64 baud = 0;
    if (g_variant_lookup(params, "ipport", "t", &ip_port)) {
        plan->kind = SERIAL_IP;
        plan->ip_port = (uint16_t)ip_port;
        plan->name = parse_host(port, error);
    } else if (get_flag(params, "pipe")) {
        plan->kind = SERIAL_PIPE;
        plan->name = parse_pipe(port, error);
    } else {
        plan->kind = SERIAL_LINE;
        plan->baud = g_variant_lookup(params, "baud", "t", &baud) ? (uint32_t)baud : 115200;
        plan->name = parse_line(port, error);
    }
    return plan->name != NULL;
}

/* Modem lines that are not left to the driver */
static gboolean
read_lines(SerialPlan *plan, GVariant *params, GError **error)
{
    static const struct {
        const char *key;
        uint32_t bit;
    } lines[] = {{"dtr", TIOCM_DTR}, {"rts", TIOCM_RTS}};
    for (size_t i = 0; i < G_N_ELEMENTS(lines); i++) {
        const char *state = NULL;
        if (!g_variant_lookup(params, lines[i].key, "&s", &state)) {
            continue;
        }
        if (plan->kind != SERIAL_LINE) {
            g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                        "com: %s= does not go with %s: only a serial line has modem lines",
                        lines[i].key, plan->kind == SERIAL_PIPE ? "pipe" : "ipport=");
            return FALSE;
        }
        plan->lines_mask |= lines[i].bit;
        plan->lines_value |= strcmp(state, "on") == 0 ? lines[i].bit : 0;
    }
    return TRUE;
}

/**
 * serial_plan_new:
 * @params: as parsed by the table
 *
 * Reads the keys and says what a table can't: which of them do not go together.
 *
 * Returns: (transfer full) (nullable)
 */
SerialPlan *
serial_plan_new(GVariant *params, GError **error)
{
    g_autoptr(SerialPlan) plan = g_new0(SerialPlan, 1);
    guint64 resets = 0;
    const char *port = NULL;
    if (!g_variant_lookup(params, "port", "&s", &port)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_MISSING, "com: port= is missing");
        return NULL;
    }
    if (has_control(port)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                            "com: port= has a control character in it");
        return NULL;
    }
    plan->is_waited_for = get_flag(params, "reconnect");
    plan->is_drained = get_flag(params, "drain");
    plan->has_modem = get_flag(params, "modem");
    plan->has_resets = g_variant_lookup(params, "resets", "t", &resets);
    plan->resets = (uint32_t)resets;
    if (!read_kind(plan, params, port, error) || !read_lines(plan, params, error)) {
        return NULL;
    }
    if (plan->has_modem && plan->kind != SERIAL_LINE) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID,
                    "com: modem does not go with %s: only a serial line has a carrier",
                    plan->kind == SERIAL_PIPE ? "pipe" : "ipport=");
        return NULL;
    }
    return g_steal_pointer(&plan);
}

/**
 * serial_plan_free:
 * @plan: (transfer full) (nullable)
 *
 * Frees a plan.
 */
void
serial_plan_free(SerialPlan *plan)
{
    if (plan == NULL) {
        return;
    }
    g_free(plan->name);
    g_free(plan);
}

/* The path without links and dots, even of a socket that is not there yet: then its folder's. */
static char *
build_missing_path(const char *name)
{
    g_autofree char *path = g_canonicalize_filename(name, "/");
    g_autofree char *folder = g_path_get_dirname(path);
    g_autofree char *base = g_path_get_basename(path);
    char *real = realpath(folder, NULL);
    if (real == NULL) {
        return g_steal_pointer(&path);
    }
    char *built = g_build_filename(real, base, NULL);
    free(real);
    return built;
}

static char *
build_path_of_fd(int fd)
{
    g_autofree char *link = g_strdup_printf("/proc/self/fd/%d", fd);
    return g_file_read_link(link, NULL);
}

/* An address in one spelling; IPv4 in IPv6's clothes (RFC 4291 2.5.5.2) is IPv4. */
static char *
build_address_name(GInetAddress *address)
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
    const uint8_t *bytes = g_inet_address_to_bytes(address);
    if (g_inet_address_get_family(address) != G_SOCKET_FAMILY_IPV6 ||
        memcmp(bytes, mapped, sizeof mapped) != 0) {
        return g_inet_address_to_string(address);
    }
    g_autoptr(GInetAddress) plain =
        g_inet_address_new_from_bytes(bytes + sizeof mapped, G_SOCKET_FAMILY_IPV4);
    return g_inet_address_to_string(plain);
}

/* A host in one spelling, as far as that can be told without asking a name server: of this machine
 * there is one, because what listens on one of its addresses mostly does on the other. */
static char *
build_host_name(const char *host)
{
    g_autofree char *name = g_ascii_strdown(host, -1);
    size_t len = strlen(name);
    if (len > 2 && name[0] == '[' && name[len - 1] == ']') {
        name[len - 1] = '\0';
        memmove(name, name + 1, len - 1);
    } else if (len > 1 && name[len - 1] == '.') {
        name[len - 1] = '\0';
    }
    g_autoptr(GInetAddress) address = g_inet_address_new_from_string(name);
    g_autofree char *number = address != NULL ? build_address_name(address) : NULL;
    const char *found = number != NULL ? number : name;
    gboolean is_ours = strcmp(found, "127.0.0.1") == 0 || strcmp(found, "::1") == 0;
    return g_strdup(is_ours ? "localhost" : found);
}

/**
 * serial_plan_build_lock_names:
 *
 * Names what two openings would collide on: `dev:4:64` for a terminal, whatever path led to it, and
 * its paths too, which remain while an adapter is away; `unix:/run/vm.sock` and the file itself for
 * a socket (it may have several hard links, and be another file after a restart), or
 * `tcp:host:port`. A file that is missing or may not be opened goes by its path.
 *
 * Returns: (transfer full)
 */
char **
serial_plan_build_lock_names(const SerialPlan *plan, const KdHost *host)
{
    const char *prefix = plan->kind == SERIAL_PIPE ? "unix" : "path";
    char **names = g_new0(char *, 4);
    if (plan->kind == SERIAL_IP) {
        g_autofree char *name = build_host_name(plan->name);
        names[0] = g_strdup_printf("tcp:%s:%u", name, plan->ip_port);
        return names;
    }
    g_autoptr(GError) error = NULL;
    g_autofree char *path = NULL;
    struct stat info = {0};
    int fd = host->open_path(host, plan->name, &error);
    if (fd >= 0) {
        if (fstat(fd, &info) == 0 && S_ISCHR(info.st_mode)) {
            g_autofree char *given = build_missing_path(plan->name);
            path = build_path_of_fd(fd);
            close(fd);
            names[0] = g_strdup_printf("dev:%u:%u", major(info.st_rdev), minor(info.st_rdev));
            names[1] = g_strdup_printf("%s:%s", prefix, given);
            names[2] = path != NULL ? g_strdup_printf("%s:%s", prefix, path) : NULL;
            return names;
        }
        names[1] = g_strdup_printf("file:%u:%u:%" G_GUINT64_FORMAT, major(info.st_dev),
                                   minor(info.st_dev), (guint64)info.st_ino);
        path = build_path_of_fd(fd);
        close(fd);
    } else if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_NOT_FOUND)) {
        path = build_missing_path(plan->name);
    }
    /* Where the host's rules forbid it, the file system is not looked at, and nobody is in the way:
     * that it is forbidden is what the client shall hear. */
    if (path == NULL) {
        path = g_canonicalize_filename(plan->name, "/");
        prefix = "forbidden";
    }
    names[0] = g_strdup_printf("%s:%s", prefix, path);
    return names;
}
