/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every form of a com string: served as written, or refused in one line that says what to write. */
#include "kd-params.h"
#include "serial-params.h"
#include "serial-plan.h"

#include <string.h>
#include <unistd.h>

static const char *const no_variables[] = {NULL};

/* Variables as NAME, VALUE, NAME, VALUE, NULL */
static const char *
get_variable(const char *variable, void *user)
{
    for (const char *const *at = user; *at != NULL; at += 2) {
        if (strcmp(at[0], variable) == 0) {
            return at[1];
        }
    }
    return NULL;
}

/* What a server makes of a string: the table's rules, then the plan's. */
static SerialPlan *
read_plan(const char *text, const char *const *variables, GError **error)
{
    const KdParamsSource source = {
        .environment = get_variable, .user = (void *)variables, .machine = "LAB"};
    g_autofree char *scheme = NULL;
    g_autofree char *items = NULL;
    g_autoptr(GVariant) params = NULL;
    if (!kd_params_split(text, &scheme, &items, error)) {
        return NULL;
    }
    g_assert_cmpstr(scheme, ==, "com");
    params = kd_params_parse(scheme, serial_params, KD_FORM_TARGET, items, &source, error);
    return params != NULL ? serial_plan_new(params, error) : NULL;
}

typedef struct {
    const char *text;
    const char *name;
    SerialPlan plan; /* without the name */
} Served;

static const Served served[] = {
    /* F67: lines */
    {"com:port=com2,baud=115200", "/dev/ttyS1", {.kind = SERIAL_LINE, .baud = 115200}},
    {"com:port=com1", "/dev/ttyS0", {.kind = SERIAL_LINE, .baud = 115200}},
    {"com:port=COM256", "/dev/ttyS255", {.kind = SERIAL_LINE, .baud = 115200}},
    {"com:Port=\\\\.\\com2,Baud=9600", "/dev/ttyS1", {.kind = SERIAL_LINE, .baud = 9600}},
    {"com:port=\\\\.\\COM12", "/dev/ttyS11", {.kind = SERIAL_LINE, .baud = 115200}},
    {"com:port=ttyUSB0,baud=3000000", "/dev/ttyUSB0", {.kind = SERIAL_LINE, .baud = 3000000}},
    {"com:port=/dev/serial/by-id/usb-a-if00-port0,baud=250000",
     "/dev/serial/by-id/usb-a-if00-port0",
     {.kind = SERIAL_LINE, .baud = 250000}},
    {"com:port=@{/dev/lab,1}", "/dev/lab,1", {.kind = SERIAL_LINE, .baud = 115200}},
    {"com:port=com1,baud=50", "/dev/ttyS0", {.kind = SERIAL_LINE, .baud = 50}},
    /* F68: over TCP */
    {"com:ipport=5000,port=lab.example", "lab.example", {.kind = SERIAL_IP, .ip_port = 5000}},
    {"com:port=192.0.2.1,ipport=65535", "192.0.2.1", {.kind = SERIAL_IP, .ip_port = 65535}},
    {"com:ipport=1,port=2001:db8::1,reconnect",
     "2001:db8::1",
     {.kind = SERIAL_IP, .ip_port = 1, .is_waited_for = TRUE}},
    /* F69: the pipe of a virtual machine */
    {"com:pipe,port=/run/vms/a.sock", "/run/vms/a.sock", {.kind = SERIAL_PIPE}},
    {"com:pipe,port=/dev/pts/4", "/dev/pts/4", {.kind = SERIAL_PIPE}},
    {"com:pipe,port=\\\\.\\pipe\\vm", "TARGETS/vm", {.kind = SERIAL_PIPE}},
    {"com:pipe,port=\\\\.\\PIPE\\My VM", "TARGETS/My VM", {.kind = SERIAL_PIPE}},
    {"com:pipe,port=\\\\.\\pipe\\..vm", "TARGETS/..vm", {.kind = SERIAL_PIPE}},
    {"com:pipe,port=\\\\.\\pipe\\vm,resets=0,reconnect",
     "TARGETS/vm",
     {.kind = SERIAL_PIPE, .is_waited_for = TRUE, .has_resets = TRUE}},
    /* F70 */
    {"com:port=com1,resets=0",
     "/dev/ttyS0",
     {.kind = SERIAL_LINE, .baud = 115200, .has_resets = TRUE}},
    {"com:pipe,port=/a,resets=4294967295",
     "/a",
     {.kind = SERIAL_PIPE, .has_resets = TRUE, .resets = UINT32_MAX}},
    /* F71 */
    {"com:pipe,port=/a,reconnect", "/a", {.kind = SERIAL_PIPE, .is_waited_for = TRUE}},
    {"com:port=com1,reconnect",
     "/dev/ttyS0",
     {.kind = SERIAL_LINE, .baud = 115200, .is_waited_for = TRUE}},
    /* F72 */
    {"com:modem,port=com1", "/dev/ttyS0", {.kind = SERIAL_LINE, .baud = 115200, .has_modem = TRUE}},
    {"com:port=/dev/ttyACM0,baud=2400,modem,reconnect,drain",
     "/dev/ttyACM0",
     {.kind = SERIAL_LINE,
      .baud = 2400,
      .has_modem = TRUE,
      .is_waited_for = TRUE,
      .is_drained = TRUE}},
    /* ours */
    {"com:pipe,port=/a,drain", "/a", {.kind = SERIAL_PIPE, .is_drained = TRUE}},
};

/* The name with the folder of targets of this user in it */
static char *
build_expected_name(const char *name)
{
    if (!g_str_has_prefix(name, "TARGETS/")) {
        return g_strdup(name);
    }
    g_autofree char *folder = serial_plan_build_targets_folder();
    return g_build_filename(folder, name + strlen("TARGETS/"), NULL);
}

static void
test_served(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(served); i++) {
        const SerialPlan *expected = &served[i].plan;
        g_autofree char *name = build_expected_name(served[i].name);
        g_autoptr(GError) error = NULL;
        g_autoptr(SerialPlan) plan = read_plan(served[i].text, no_variables, &error);
        g_test_message("%s", served[i].text);
        g_assert_no_error(error);
        g_assert_cmpint(plan->kind, ==, expected->kind);
        g_assert_cmpstr(plan->name, ==, name);
        g_assert_cmpuint(plan->baud, ==, expected->baud);
        g_assert_cmpuint(plan->ip_port, ==, expected->ip_port);
        g_assert_cmpint(plan->is_waited_for, ==, expected->is_waited_for);
        g_assert_cmpint(plan->is_drained, ==, expected->is_drained);
        g_assert_cmpint(plan->has_modem, ==, expected->has_modem);
        g_assert_cmpint(plan->has_resets, ==, expected->has_resets);
        g_assert_cmpuint(plan->resets, ==, expected->resets);
    }
}

typedef struct {
    const char *text;
    int code;
    const char *message;
} Refused;

#define NO_NAME ": behind \\\\.\\pipe\\ the name of one file, at most 255 bytes without / and \\"
#define NO_PIPE \
    ": with pipe the path of the virtual machine's socket or terminal, or \\\\.\\pipe\\NAME"
#define FOREIGN                                                                                   \
    ": a pipe of another machine can't be opened from here: run kdsrv there, or let that machine" \
    " offer it by TCP and write com:ipport=PORT,port=HOST"
#define NO_LINE ": neither com1 and so on nor the path of a line"

static const Refused refused[] = {
    /* F67 */
    {"com:port=2,baud=115200", KD_ERROR_PARAM_INVALID, "com: port=2: write port=com2"},
    {"com:port=\\\\.\\2", KD_ERROR_PARAM_INVALID, "com: port=\\\\.\\2: write port=com2"},
    {"com:port=com0", KD_ERROR_PARAM_INVALID, "com: port=com0: com1 to com256 are known"},
    {"com:port=com257", KD_ERROR_PARAM_INVALID, "com: port=com257: com1 to com256 are known"},
    {"com:port=com99999999999999999999", KD_ERROR_PARAM_INVALID,
     "com: port=com99999999999999999999: com1 to com256 are known"},
    {"com:port=lpt1", KD_ERROR_PARAM_INVALID, "com: port=lpt1" NO_LINE},
    {"com:port=com", KD_ERROR_PARAM_INVALID, "com: port=com" NO_LINE},
    {"com:port=tty/../null", KD_ERROR_PARAM_INVALID, "com: port=tty/../null" NO_LINE},
    {"com:port=\\\\.\\/dev/ttyS0", KD_ERROR_PARAM_INVALID, "com: port=\\\\.\\/dev/ttyS0" NO_LINE},
    {"com:port=\\\\host\\com2", KD_ERROR_PARAM_INVALID, "com: port=\\\\host\\com2" NO_LINE},
    {"com:port=\\\\.\\pipe\\vm", KD_ERROR_PARAM_INVALID,
     "com: port=\\\\.\\pipe\\vm: a pipe: write com:pipe,port=\\\\.\\pipe\\vm"},
    {"com:baud=115200", KD_ERROR_PARAM_MISSING,
     "com: port= is missing, and _NT_DEBUG_PORT is not set on LAB"},
    {"com:", KD_ERROR_PARAM_MISSING, "com: port= is missing, and _NT_DEBUG_PORT is not set on LAB"},
    {"com:port=com1,baud=49", KD_ERROR_PARAM_INVALID, "baud="},
    {"com:port=com1,baud=fast", KD_ERROR_PARAM_INVALID, "baud="},
    {"com:port=com1,port=com2", KD_ERROR_PARAM_INVALID, "com: port= is given twice"},
    {"com:port=com1,parity=even", KD_ERROR_PARAM_UNKNOWN, "com: unknown key parity"},
    /* F68 */
    {"com:ipport=5000,port=/dev/ttyS0", KD_ERROR_PARAM_INVALID,
     "com: port=/dev/ttyS0: with ipport the name or the address of a host"},
    {"com:ipport=5000,port=\\\\.\\pipe\\vm", KD_ERROR_PARAM_INVALID,
     "com: port=\\\\.\\pipe\\vm: with ipport the name or the address of a host"},
    {"com:ipport=0,port=lab", KD_ERROR_PARAM_INVALID, "ipport="},
    {"com:ipport=65536,port=lab", KD_ERROR_PARAM_INVALID, "ipport="},
    {"com:ipport=5000", KD_ERROR_PARAM_MISSING, "com: port= is missing"},
    {"com:pipe,ipport=5000,port=lab", KD_ERROR_PARAM_INVALID,
     "com: pipe and ipport= exclude each other"},
    /* F69 */
    {"com:pipe,port=vm", KD_ERROR_PARAM_INVALID, "com: port=vm" NO_PIPE},
    {"com:pipe,port=com1", KD_ERROR_PARAM_INVALID, "com: port=com1" NO_PIPE},
    {"com:pipe,port=\\\\.\\com1", KD_ERROR_PARAM_INVALID, "com: port=\\\\.\\com1" NO_PIPE},
    {"com:pipe,port=\\\\.\\pipe\\", KD_ERROR_PARAM_INVALID, "com: port=\\\\.\\pipe\\" NO_NAME},
    {"com:pipe,port=\\\\.\\pipe\\.", KD_ERROR_PARAM_INVALID, "com: port=\\\\.\\pipe\\." NO_NAME},
    {"com:pipe,port=\\\\.\\pipe\\..", KD_ERROR_PARAM_INVALID, "com: port=\\\\.\\pipe\\.." NO_NAME},
    {"com:pipe,port=\\\\.\\pipe\\../vm", KD_ERROR_PARAM_INVALID,
     "com: port=\\\\.\\pipe\\../vm" NO_NAME},
    {"com:pipe,port=\\\\.\\pipe\\a\\b", KD_ERROR_PARAM_INVALID,
     "com: port=\\\\.\\pipe\\a\\b" NO_NAME},
    {"com:pipe,port=\\\\.\\pipe\\a\tb", KD_ERROR_PARAM_INVALID, "control character"},
    {"com:pipe,port=\\\\host\\pipe\\vm", KD_ERROR_NOT_SUPPORTED,
     "com: port=\\\\host\\pipe\\vm" FOREIGN},
    {"com:pipe=yes,port=/a", KD_ERROR_PARAM_INVALID, "pipe"},
    /* F70 */
    {"com:port=com1,resets=-1", KD_ERROR_PARAM_INVALID, "resets="},
    {"com:port=com1,resets=4294967296", KD_ERROR_PARAM_INVALID, "resets="},
    {"com:port=com1,resets", KD_ERROR_PARAM_INVALID, "resets="},
    /* F72 */
    {"com:modem,pipe,port=/a", KD_ERROR_PARAM_INVALID,
     "com: modem does not go with pipe: only a serial line has a carrier"},
    {"com:modem,ipport=5000,port=lab", KD_ERROR_PARAM_INVALID,
     "com: modem does not go with ipport=: only a serial line has a carrier"},
};

/* A message that starts like ours is the whole one, else a part of it. */
static void
assert_says(const char *said, const char *expected)
{
    if (g_str_has_prefix(expected, "com: port=") && strstr(expected, "missing") == NULL &&
        strstr(expected, "twice") == NULL) {
        g_assert_cmpstr(said, ==, expected);
    } else if (strstr(said, expected) == NULL) {
        g_error("`%s` does not say `%s`", said, expected);
    }
    g_assert_null(strchr(said, '\n'));
}

static void
test_refused(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(refused); i++) {
        g_autoptr(GError) error = NULL;
        g_autoptr(SerialPlan) plan = read_plan(refused[i].text, no_variables, &error);
        g_test_message("%s", refused[i].text);
        g_assert_null(plan);
        g_assert_error(error, KD_ERROR, refused[i].code);
        assert_says(error->message, refused[i].message);
    }
}

static void
test_long_pipe_name(void)
{
    g_autofree char *longest = g_strnfill(255, 'x');
    g_autofree char *good = g_strconcat("com:pipe,port=\\\\.\\pipe\\", longest, NULL);
    g_autofree char *bad = g_strconcat(good, "x", NULL);
    g_autoptr(GError) error = NULL;
    g_autoptr(SerialPlan) plan = read_plan(good, no_variables, &error);
    g_assert_no_error(error);
    g_assert_true(g_str_has_suffix(plan->name, longest));
    g_assert_null(read_plan(bad, no_variables, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
}

/* A host that parses by itself has not looked for them. */
static void
test_control(void)
{
    static const char *const ports[] = {"/run/a\nb", "\\\\.\\pipe\\a\033b", "/run/\302\205"};
    for (size_t i = 0; i < G_N_ELEMENTS(ports); i++) {
        g_autoptr(GError) error = NULL;
        GVariantDict dict;
        g_variant_dict_init(&dict, NULL);
        g_variant_dict_insert(&dict, "pipe", "b", TRUE);
        g_variant_dict_insert(&dict, "port", "s", ports[i]);
        g_autoptr(GVariant) params = g_variant_ref_sink(g_variant_dict_end(&dict));
        g_assert_null(serial_plan_new(params, &error));
        g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
        g_assert_cmpstr(error->message, ==, "com: port= has a control character in it");
    }
}

/* F47 */
static void
test_environment(void)
{
    static const char *const both[] = {"_NT_DEBUG_PORT", "com3", "_NT_DEBUG_BAUD_RATE", "57600",
                                       NULL};
    static const char *const bare[] = {"_NT_DEBUG_PORT", "3", NULL};
    static const char *const empty[] = {"_NT_DEBUG_PORT", "", NULL};
    g_autoptr(GError) error = NULL;
    g_autoptr(SerialPlan) all = read_plan("com:", both, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(all->name, ==, "/dev/ttyS2");
    g_assert_cmpuint(all->baud, ==, 57600);
    g_autoptr(SerialPlan) one = read_plan("com:baud=9600", both, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(one->name, ==, "/dev/ttyS2");
    g_assert_cmpuint(one->baud, ==, 9600);
    g_autoptr(SerialPlan) none = read_plan("com:port=com1,baud=9600", both, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(none->name, ==, "/dev/ttyS0");
    g_assert_null(read_plan("com:", bare, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_INVALID);
    g_assert_nonnull(strstr(error->message, "port=com3"));
    g_clear_error(&error);
    g_assert_null(read_plan("com:", empty, &error));
    g_assert_error(error, KD_ERROR, KD_ERROR_PARAM_MISSING);
}

static void
test_targets_folder(void)
{
    g_autofree char *before = g_strdup(g_getenv("XDG_RUNTIME_DIR"));
    g_setenv("XDG_RUNTIME_DIR", "/run/user/4711", TRUE);
    g_autofree char *own = serial_plan_build_targets_folder();
    g_assert_cmpstr(own, ==,
                    geteuid() == 0 ? "/run/kdsrv/targets" : "/run/user/4711/kdsrv/targets");
    g_setenv("XDG_RUNTIME_DIR", "run", TRUE);
    g_autofree char *relative = serial_plan_build_targets_folder();
    g_assert_cmpstr(relative, ==, "/run/kdsrv/targets");
    g_unsetenv("XDG_RUNTIME_DIR");
    g_autofree char *unset = serial_plan_build_targets_folder();
    g_assert_cmpstr(unset, ==, "/run/kdsrv/targets");
    if (before != NULL) {
        g_setenv("XDG_RUNTIME_DIR", before, TRUE);
    }
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/serial/plan/every-form-is-served-as-written", test_served);
    g_test_add_func("/serial/plan/wrong-forms-are-refused-with-the-fix", test_refused);
    g_test_add_func("/serial/plan/pipe-name-fits-a-file-name", test_long_pipe_name);
    g_test_add_func("/serial/plan/control-characters-are-refused", test_control);
    g_test_add_func("/serial/plan/environment-fills-what-is-left-out", test_environment);
    g_test_add_func("/serial/plan/pipes-are-in-the-users-folder", test_targets_folder);
    return g_test_run();
}
