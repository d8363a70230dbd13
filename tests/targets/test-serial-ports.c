/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Which ports are listed. The sysfs of most cases is umockdev's; its devices have the numbers of
 * real ptys, which stand in for them where one is looked at. */
#include "kd-params.h"
#include "kd-test-host.h"
#include "serial-params.h"
#include "serial-plan.h"
#include "serial-ports.h"

#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
#ifdef KD_HAS_UMOCKDEV
#include <umockdev.h>
#endif

#define N_PTYS 3

/**
 * Place:
 * @folder: the user's run-time folder
 * @targets: in it
 * @masters: of the ptys
 * @ptys: their names
 * @allowed: path -> what it leads to; all that the host's rules allow
 */
typedef struct {
    char *folder;
    char *targets;
    int masters[N_PTYS];
    char *ptys[N_PTYS];
    GHashTable *allowed;
#ifdef KD_HAS_UMOCKDEV
    UMockdevTestbed *testbed;
#endif
} Place;

/* ---- a host with rules, and a machine with adapters ------------------------------------------ */

typedef struct {
    KdHost table;
    GHashTable *allowed;
    GThread *thread;
} Host;

static int
open_path(const KdHost *host, const char *path, GError **error)
{
    const Host *own = (const Host *)host;
    const char *real = g_hash_table_lookup(own->allowed, path);
    g_assert_true(g_thread_self() == own->thread);
    if (real == NULL) {
        g_set_error(error, KD_ERROR, KD_ERROR_POLICY, "%s is not allowed", path);
        return -1;
    }
    return open(real, O_PATH | O_CLOEXEC);
}

static void
allow(Place *place, const char *path, const char *real)
{
    g_hash_table_insert(place->allowed, g_strdup(path), g_strdup(real));
}

static void
place_set_up(Place *place, gconstpointer unused)
{
    (void)unused;
    place->folder = g_dir_make_tmp("kd-ports-XXXXXX", NULL);
    place->targets = g_build_filename(place->folder, "kdsrv", "targets", NULL);
    g_assert_cmpint(g_mkdir_with_parents(place->targets, 0700), ==, 0);
    g_setenv("XDG_RUNTIME_DIR", place->folder, TRUE);
    place->allowed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    for (guint i = 0; i < N_PTYS; i++) {
        place->masters[i] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        g_assert_cmpint(grantpt(place->masters[i]), ==, 0);
        g_assert_cmpint(unlockpt(place->masters[i]), ==, 0);
        place->ptys[i] = g_strdup(ptsname(place->masters[i]));
    }
}

static void
place_tear_down(Place *place, gconstpointer unused)
{
    g_autofree char *parent = g_path_get_dirname(place->targets);
    (void)unused;
#ifdef KD_HAS_UMOCKDEV
    g_clear_object(&place->testbed);
#endif
    for (guint i = 0; i < N_PTYS; i++) {
        close(place->masters[i]);
        g_free(place->ptys[i]);
    }
    g_hash_table_unref(place->allowed);
    g_rmdir(place->targets);
    g_rmdir(parent);
    g_assert_cmpint(g_rmdir(place->folder), ==, 0);
    g_free(place->targets);
    g_free(place->folder);
}

/* A sysfs of our own for this process; else the case is skipped. */
static gboolean
has_testbed(Place *place)
{
#ifdef KD_HAS_UMOCKDEV
    place->testbed = umockdev_testbed_new();
    g_autofree char *root = umockdev_testbed_get_root_dir(place->testbed);
    g_autofree char *probe = g_build_filename(root, "sys", "kd-probe", NULL);
    g_assert_true(g_file_set_contents(probe, "", 0, NULL));
    if (access("/sys/kd-probe", F_OK) == 0) {
        return TRUE;
    }
    g_test_skip("not run with libumockdev-preload.so.0 (ctest does)");
#else
    (void)place;
    g_test_skip("built without umockdev");
#endif
    return FALSE;
}

static void
add_device(Place *place, const char *text)
{
#ifdef KD_HAS_UMOCKDEV
    g_autoptr(GError) error = NULL;
    umockdev_testbed_add_from_string(place->testbed, text, &error);
    g_assert_no_error(error);
#else
    (void)place, (void)text;
#endif
}

/* What a running udevd would tell about a device */
static void
set_links(Place *place, const char *device, const char *links)
{
#ifdef KD_HAS_UMOCKDEV
    g_autofree char *path = g_strconcat("/sys", device, NULL);
    umockdev_testbed_set_property(place->testbed, path, "DEVLINKS", links);
#else
    (void)place, (void)device, (void)links;
#endif
}

/* A terminal of the kernel's at @parent; the rules allow it if @is_allowed. */
static void
add_tty(Place *place, const char *parent, const char *name, guint pty, const char *attributes,
        gboolean is_allowed)
{
    struct stat status = {0};
    g_assert_cmpint(stat(place->ptys[pty], &status), ==, 0);
    g_autofree char *text = g_strdup_printf("P: %s/tty/%s\nN: %s\nE: SUBSYSTEM=tty\n"
                                            "E: DEVNAME=/dev/%s\nE: MAJOR=%u\nE: MINOR=%u\n%s\n\n",
                                            parent, name, name, name, major(status.st_rdev),
                                            minor(status.st_rdev), attributes);
    add_device(place, text);
    if (is_allowed) {
        g_autofree char *node = g_strconcat("/dev/", name, NULL);
        allow(place, node, place->ptys[pty]);
    }
}

#define USB "/devices/pci0000:00/0000:00:14.0/usb1/"

static void
add_adapter(Place *place, const char *at, const char *strings)
{
    g_autofree char *text =
        g_strdup_printf("P: " USB "%s\nE: SUBSYSTEM=usb\nE: DEVTYPE=usb_device\n"
                        "%s\n\nP: " USB "%s/%s:1.0\nE: SUBSYSTEM=usb\n"
                        "E: DEVTYPE=usb_interface\n\n",
                        at, strings, at, at);
    add_device(place, text);
}

#define FTDI "A: manufacturer=FTDI\\n\nA: product=FT232R USB UART\\n\nA: serial=A50285BI\\n"

/* ---- what is listed -------------------------------------------------------------------------- */

static GVariant *
list_with(Place *place, GCancellable *cancellable, GError **error)
{
    KdTestDone done = {0};
    Host host = {.table = *kd_test_host_get(), .thread = g_thread_self()};
    g_autoptr(GVariant) filter = g_variant_ref_sink(g_variant_new_parsed("@a{sv} {}"));
    host.table.open_path = open_path;
    host.allowed = place->allowed;
    serial_ports_list_async(&host.table, filter, cancellable, kd_test_on_done, &done);
    g_assert_null(done.result);
    g_autoptr(GAsyncResult) result = kd_test_wait(&done);
    GVariant *ports = serial_ports_list_finish(result, error);
    g_assert_true(ports == NULL || g_variant_is_of_type(ports, G_VARIANT_TYPE("aa{sv}")));
    return ports;
}

static GVariant *
list(Place *place)
{
    g_autoptr(GError) error = NULL;
    GVariant *ports = list_with(place, NULL, &error);
    g_autofree char *text = ports != NULL ? g_variant_print(ports, FALSE) : NULL;
    g_assert_no_error(error);
    g_test_message("%s", text);
    return ports;
}

static const char *
get_text(GVariant *ports, gsize index, const char *key)
{
    const char *text = NULL;
    g_autoptr(GVariant) port = g_variant_get_child_value(ports, index);
    (void)g_variant_lookup(port, key, "&s", &text);
    return text;
}

static void
assert_aliases(GVariant *ports, gsize index, const char *expected)
{
    g_autoptr(GVariant) port = g_variant_get_child_value(ports, index);
    g_autofree const char **aliases = NULL;
    g_assert_true(g_variant_lookup(port, "aliases", "^a&s", &aliases));
    g_autofree char *all = g_strjoinv(" ", (char **)aliases);
    g_assert_cmpstr(all, ==, expected);
}

/* What is listed has to be a string that a server takes, and to mean the device of the entry. */
static void
assert_can_be_given(GVariant *ports)
{
    const KdParamsSource source = {0};
    for (gsize i = 0; i < g_variant_n_children(ports); i++) {
        g_autoptr(GVariant) port = g_variant_get_child_value(ports, i);
        g_autofree const char **aliases = NULL;
        g_autofree char *scheme = NULL;
        g_autofree char *items = NULL;
        g_autoptr(GError) error = NULL;
        g_assert_true(kd_params_split(get_text(ports, i, "trans"), &scheme, &items, &error));
        g_autoptr(GVariant) params =
            kd_params_parse(scheme, serial_params, KD_FORM_TARGET, items, &source, &error);
        g_assert_no_error(error);
        g_autoptr(SerialPlan) plan = serial_plan_new(params, &error);
        g_assert_no_error(error);
        g_assert_true(g_variant_lookup(port, "aliases", "^a&s", &aliases));
        g_assert_true(strcmp(plan->name, get_text(ports, i, "device")) == 0 ||
                      g_strv_contains(aliases, plan->name));
        g_assert_cmpuint(strlen(get_text(ports, i, "name")), >, 0);
    }
}

/* The trans of all, separated by blanks */
static void
assert_listed(GVariant *ports, const char *expected)
{
    g_autoptr(GString) all = g_string_new(NULL);
    for (gsize i = 0; i < g_variant_n_children(ports); i++) {
        g_string_append_printf(all, "%s%s", i > 0 ? " " : "", get_text(ports, i, "trans"));
    }
    g_assert_cmpstr(all->str, ==, expected);
    assert_can_be_given(ports);
}

#define BY_ID   "/dev/serial/by-id/usb-FTDI_FT232R_USB_UART_A50285BI-if00-port0"
#define BY_PATH "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0"

static void
test_adapter(Place *place, gconstpointer unused)
{
    (void)unused;
    if (!has_testbed(place)) {
        return;
    }
    add_adapter(place, "1-2", FTDI);
    add_tty(place, USB "1-2/1-2:1.0/ttyUSB0", "ttyUSB0", 0, "", TRUE);
    /* Without udevd */
    g_autoptr(GVariant) before = list(place);
    assert_listed(before, "com:port=/dev/ttyUSB0");
    g_assert_cmpstr(get_text(before, 0, "name"), ==, "FTDI FT232R USB UART A50285BI");
    g_assert_cmpstr(get_text(before, 0, "device"), ==, "/dev/ttyUSB0");
    assert_aliases(before, 0, "");
    /* With it */
    set_links(place, USB "1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0", BY_PATH " " BY_ID);
    allow(place, BY_ID, place->ptys[0]);
    allow(place, BY_PATH, place->ptys[0]);
    g_autoptr(GVariant) after = list(place);
    assert_listed(after, "com:port=" BY_ID);
    g_assert_cmpstr(get_text(after, 0, "device"), ==, "/dev/ttyUSB0");
    g_autoptr(GVariant) port = g_variant_get_child_value(after, 0);
    g_autofree const char **aliases = NULL;
    g_assert_true(g_variant_lookup(port, "aliases", "^a&s", &aliases));
    g_assert_cmpuint(g_strv_length((char **)aliases), ==, 2);
    g_assert_true(g_strv_contains(aliases, BY_ID));
    g_assert_true(g_strv_contains(aliases, BY_PATH));
}

/* Two adapters without serial numbers: udev has one link for both. */
static void
test_link_of_another(Place *place, gconstpointer unused)
{
    static const char link[] = "/dev/serial/by-id/usb-Serial-if00-port0";
    (void)unused;
    if (!has_testbed(place)) {
        return;
    }
    add_adapter(place, "1-2", "A: product=Serial\\n");
    add_adapter(place, "1-3", "A: product=Serial\\n");
    add_tty(place, USB "1-2/1-2:1.0/ttyUSB0", "ttyUSB0", 0, "", TRUE);
    add_tty(place, USB "1-3/1-3:1.0/ttyUSB10", "ttyUSB10", 1, "", TRUE);
    add_tty(place, USB "1-3/1-3:1.0/ttyUSB9", "ttyUSB9", 2, "", TRUE);
    set_links(place, USB "1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0", link);
    set_links(place, USB "1-3/1-3:1.0/ttyUSB10/tty/ttyUSB10", link);
    allow(place, link, place->ptys[1]);
    g_autoptr(GVariant) ports = list(place);
    assert_listed(ports, "com:port=/dev/ttyUSB0 com:port=/dev/ttyUSB9 "
                         "com:port=/dev/serial/by-id/usb-Serial-if00-port0");
    assert_aliases(ports, 0, "");
    g_assert_cmpstr(get_text(ports, 0, "name"), ==, "Serial (ttyUSB0)");
    g_assert_cmpstr(get_text(ports, 1, "name"), ==, "Serial (ttyUSB9)");
    g_assert_cmpstr(get_text(ports, 2, "name"), ==, "Serial (ttyUSB10)");
}

static void
test_com(Place *place, gconstpointer unused)
{
    static const char pc[] = "/devices/platform/serial8250";
    (void)unused;
    if (!has_testbed(place)) {
        return;
    }
    add_tty(place, "/devices/pnp0/00:01", "ttyS0", 0,
            "A: type=4\\n\nA: port=0x3F8\\n\nA: iomem_base=0x0\\n", TRUE);
    add_tty(place, pc, "ttyS1", 1, "A: type=0\\n\nA: port=0x2F8\\n\nA: iomem_base=0x0\\n", TRUE);
    add_tty(place, pc, "ttyS2", 1, "A: type=4\\n\nA: port=0x0\\n\nA: iomem_base=0x0\\n", TRUE);
    add_tty(place, pc, "ttyS3", 2, "A: type=4\\n\nA: port=0x0\\n\nA: iomem_base=0xFE000\\n", TRUE);
    add_tty(place, "/devices/virtual", "tty1", 1, "", TRUE);
    add_tty(place, "/devices/virtual", "ptmx", 1, "", TRUE);
    g_autoptr(GVariant) ports = list(place);
    assert_listed(ports, "com:port=com1 com:port=com4");
    g_assert_cmpstr(get_text(ports, 0, "name"), ==, "serial port ttyS0");
    g_assert_cmpstr(get_text(ports, 1, "device"), ==, "/dev/ttyS3");
}

static void
test_rules(Place *place, gconstpointer unused)
{
    (void)unused;
    if (!has_testbed(place)) {
        return;
    }
    add_adapter(place, "1-2", FTDI);
    add_tty(place, USB "1-2/1-2:1.0/ttyUSB0", "ttyUSB0", 0, "", TRUE);
    add_tty(place, USB "1-2/1-2:1.0/ttyUSB1", "ttyUSB1", 1, "", FALSE);
    set_links(place, USB "1-2/1-2:1.0/ttyUSB0/tty/ttyUSB0", "/dev/serial/by-id/forbidden");
    set_links(place, USB "1-2/1-2:1.0/ttyUSB1/tty/ttyUSB1", "/dev/serial/by-id/forbidden");
    g_autoptr(GVariant) ports = list(place);
    assert_listed(ports, "com:port=/dev/ttyUSB0");
    assert_aliases(ports, 0, "");
}

static void
test_printable(Place *place, gconstpointer unused)
{
    (void)unused;
    if (!has_testbed(place)) {
        return;
    }
    add_adapter(place, "1-2", "A: manufacturer=\\033[2J\\nEvil\\n\nA: product=\\377\\n");
    add_tty(place, USB "1-2/1-2:1.0/ttyACM0", "ttyACM0", 0, "", TRUE);
    add_adapter(place, "1-3", "A: product=  \\n");
    add_tty(place, USB "1-3/1-3:1.0/ttyACM1", "ttyACM1", 1, "", TRUE);
    g_autoptr(GVariant) ports = list(place);
    const char *name = get_text(ports, 0, "name");
    g_assert_true(g_utf8_validate(name, -1, NULL));
    g_assert_nonnull(strstr(name, "Evil"));
    g_assert_null(strchr(name, '\n'));
    g_assert_null(strchr(name, '\033'));
    g_assert_cmpstr(get_text(ports, 1, "name"), ==, "serial port ttyACM1");
}

static void
on_child(gpointer unused)
{
    (void)unused;
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
}

static GSubprocess *
start_cat(const char *stdin_path)
{
    static const char *const argv[] = {"cat", NULL};
    g_autoptr(GSubprocessLauncher) launcher =
        g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
    g_autoptr(GError) error = NULL;
    g_subprocess_launcher_set_stdin_file_path(launcher, stdin_path);
    g_subprocess_launcher_set_child_setup(launcher, on_child, NULL, NULL);
    GSubprocess *cat = g_subprocess_launcher_spawnv(launcher, argv, &error);
    g_assert_no_error(error);
    return cat;
}

static void
test_busy(Place *place, gconstpointer unused)
{
    (void)unused;
    if (!has_testbed(place)) {
        return;
    }
    add_adapter(place, "1-2", FTDI);
    add_tty(place, USB "1-2/1-2:1.0/ttyUSB0", "ttyUSB0", 0, "", TRUE);
    add_tty(place, USB "1-2/1-2:1.0/ttyUSB1", "ttyUSB1", 1, "", TRUE);
    g_autoptr(GSubprocess) cat = start_cat(place->ptys[1]);
    g_autofree char *holder = g_strdup_printf("cat (pid %s)", g_subprocess_get_identifier(cat));
    g_autoptr(GVariant) ports = list(place);
    g_autoptr(GVariant) first = g_variant_get_child_value(ports, 0);
    g_autoptr(GVariant) second = g_variant_get_child_value(ports, 1);
    gboolean is_busy = TRUE;
    /* Only who may look at every process knows that a port is free. */
    g_assert_cmpint(g_variant_lookup(first, "busy", "b", &is_busy), ==, getuid() == 0);
    g_assert_cmpint(is_busy, ==, getuid() != 0);
    g_assert_null(get_text(ports, 0, "holder"));
    g_assert_true(g_variant_lookup(second, "busy", "b", &is_busy));
    g_assert_true(is_busy);
    g_assert_cmpstr(get_text(ports, 1, "holder"), ==, holder);
    g_subprocess_force_exit(cat);
    g_assert_true(g_subprocess_wait(cat, NULL, NULL));
}

/* ---- sockets of virtual machines ------------------------------------------------------------- */

static char *
make_socket(Place *place, const char *name, gboolean is_allowed)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char *path = g_build_filename(place->targets, name, NULL);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    g_strlcpy(address.sun_path, path, sizeof(address.sun_path));
    g_assert_cmpint(bind(fd, (struct sockaddr *)&address, sizeof(address)), ==, 0);
    close(fd);
    if (is_allowed) {
        allow(place, path, path);
    }
    return path;
}

static void
test_sockets(Place *place, gconstpointer unused)
{
    g_autofree char *comma = make_socket(place, "a,b", TRUE);
    g_autofree char *forbidden = make_socket(place, "forbidden", FALSE);
    g_autofree char *line_end = make_socket(place, "line\nend", TRUE);
    g_autofree char *brace = make_socket(place, "open{", TRUE);
    g_autofree char *raw = make_socket(place, "raw\xff", TRUE);
    g_autofree char *vm = make_socket(place, "vm 10", TRUE);
    g_autofree char *file = g_build_filename(place->targets, "file", NULL);
    g_autofree char *link = g_build_filename(place->targets, "link", NULL);
    g_autofree char *expected = g_strdup_printf("com:pipe,port=@{%s} com:pipe,port=%s", comma, vm);
    (void)unused;
    g_assert_true(g_file_set_contents(file, "", 0, NULL));
    g_assert_cmpint(symlink(vm, link), ==, 0);
    allow(place, file, file);
    allow(place, link, vm);
    g_autoptr(GVariant) ports = list(place);
    g_autoptr(GVariant) last = g_variant_get_child_value(ports, g_variant_n_children(ports) - 1);
    gboolean is_busy = FALSE;
    assert_listed(ports, expected);
    g_assert_cmpstr(get_text(ports, 1, "name"), ==, "vm 10");
    g_assert_cmpstr(get_text(ports, 1, "device"), ==, vm);
    g_assert_false(g_variant_lookup(last, "busy", "b", &is_busy)); /* can't be known */
    const char *const paths[] = {comma, forbidden, line_end, brace, raw, vm, file, link};
    for (size_t i = 0; i < G_N_ELEMENTS(paths); i++) {
        g_assert_cmpint(g_unlink(paths[i]), ==, 0);
    }
}

/* ---- the task, and this machine -------------------------------------------------------------- */

/* Not sockets: umockdev leaves one behind for each device that is opened. */
static guint
count_files(void)
{
    g_autoptr(GDir) folder = g_dir_open("/proc/self/fd", 0, NULL);
    guint n = 0;
    for (const char *name = g_dir_read_name(folder); name != NULL; name = g_dir_read_name(folder)) {
        g_autofree char *path = g_build_filename("/proc/self/fd", name, NULL);
        g_autofree char *target = g_file_read_link(path, NULL);
        n += target != NULL && !g_str_has_prefix(target, "socket:");
    }
    return n;
}

static void
test_cancel(Place *place, gconstpointer unused)
{
    g_variant_unref(list(place)); /* GLib has some descriptors of its own now */
    guint before = count_files();
    (void)unused;
    for (guint moment = 0; moment < 3; moment++) {
        g_autoptr(GCancellable) cancellable = g_cancellable_new();
        g_autoptr(GError) error = NULL;
        KdTestDone done = {0};
        Host host = {.table = *kd_test_host_get(), .thread = g_thread_self()};
        host.table.open_path = open_path;
        host.allowed = place->allowed;
        if (moment == 0) {
            g_cancellable_cancel(cancellable);
        }
        serial_ports_list_async(&host.table, NULL, cancellable, kd_test_on_done, &done);
        if (moment == 1) {
            g_cancellable_cancel(cancellable);
        }
        g_autoptr(GAsyncResult) result = kd_test_wait(&done);
        g_cancellable_cancel(cancellable);
        g_assert_null(serial_ports_list_finish(result, &error));
        g_assert_error(error, G_IO_ERROR, G_IO_ERROR_CANCELLED);
    }
    g_assert_cmpuint(count_files(), ==, before);
}

/* Whatever there is: PC ports that have a type are listed, and nothing virtual is. */
static void
test_this_machine(Place *place, gconstpointer unused)
{
    g_autofree char *type = NULL;
    gboolean is_there = g_file_get_contents("/sys/class/tty/ttyS0/type", &type, NULL, NULL) &&
                        strcmp(type, "0\n") != 0 && g_file_test("/dev/ttyS0", G_FILE_TEST_EXISTS);
    static const char *const nodes[] = {"/dev/ttyS0",   "/dev/tty0", "/dev/tty1",
                                        "/dev/console", "/dev/ptmx", "/dev/tty"};
    (void)unused;
    for (size_t i = 0; i < G_N_ELEMENTS(nodes); i++) {
        allow(place, nodes[i], nodes[i]);
    }
    g_autoptr(GVariant) ports = list(place);
    assert_listed(ports, is_there ? "com:port=com1" : "");
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name, fn) \
    g_test_add("/serial/ports/" name, Place, NULL, place_set_up, fn, place_tear_down)
    /* first, because it counts descriptors, and umockdev's threads have some */
    ADD("cancelled-search-lists-nothing", test_cancel);
    ADD("adapter-is-listed-by-the-name-that-stays", test_adapter);
    ADD("link-that-leads-to-another-is-left-out", test_link_of_another);
    ADD("only-ports-that-are-really-there-are-listed", test_com);
    ADD("what-the-rules-forbid-is-not-listed", test_rules);
    ADD("name-of-an-adapter-is-made-printable", test_printable);
    ADD("port-in-use-names-who-has-it", test_busy);
    ADD("sockets-of-targets-are-listed", test_sockets);
    ADD("this-machine-has-no-virtual-ports", test_this_machine);
    return g_test_run();
}
