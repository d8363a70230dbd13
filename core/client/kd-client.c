/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the command kd does with its options. */
#include "kd-client.h"

#include "kd-bridge.h"
#include "kd-connection.h"
#include "kd-links.h"
#include "kd-loop.h"
#include "kd-notice.h"
#include "kd-outcome.h"
#include "kd-params.h"
#include "kd-secret.h"

#include <string.h>

#define FOLDER_NAME "kdsrv/debuggers"

static int
print_failure(const GError *error, int status)
{
    kd_notice_print("%s", error->message);
    return status;
}

/* ---- who the debugger is ---- */

static gboolean
choose_kind(const KdClientOptions *options, KdHandover *handover, GError **error)
{
    int n_chosen = (options->is_stdio ? 1 : 0) + (options->is_pty ? 1 : 0) +
                   (options->listen != NULL ? 1 : 0) + (options->debugger != NULL ? 1 : 0);

    if (n_chosen != 1) {
        g_set_error(error, KD_ERROR, KD_ERROR_PARAM_MISSING,
                    "%s one of --stdio, --pty[=SYMLINK], --listen unix:PATH, --listen "
                    "tcp:HOST:PORT or -- DEBUGGER ARGUMENTS must say who gets the link",
                    n_chosen == 0 ? "no debugger:" : "more than one debugger:");
        return FALSE;
    }
    if (options->is_stdio) {
        handover->kind = KD_HANDOVER_STDIO;
    } else if (options->is_pty) {
        handover->kind = KD_HANDOVER_PTY;
        handover->where = options->symlink_path;
    } else if (options->listen != NULL) {
        handover->kind = KD_HANDOVER_LISTEN;
        handover->where = options->listen;
    } else {
        handover->kind = KD_HANDOVER_CHILD;
        handover->argv = (const char *const *)options->debugger;
    }
    return TRUE;
}

/* Where the profiles of this very kd lie, also before it was installed or after it was moved. */
static char *
build_folder_beside_us(void)
{
    g_autofree char *program = g_file_read_link("/proc/self/exe", NULL);
    g_autofree char *bin = program != NULL ? g_path_get_dirname(program) : g_strdup("/usr/bin");

    return g_build_filename(bin, "..", "share", FOLDER_NAME, NULL);
}

/* Where none is asked for and no debugger is started, there is none to find. */
static gboolean
find_profile(const KdClientOptions *options, KdProfile **profile, GError **error)
{
    g_autofree char *own = g_build_filename(g_get_user_config_dir(), FOLDER_NAME, NULL);
    g_autofree char *beside = build_folder_beside_us();
    const char *folders[] = {own, beside, KD_DEBUGGER_DIR, NULL};

    if (options->debugger != NULL && options->debugger[0] == NULL) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_PARAM_MISSING,
                            "no debugger stands behind --");
        return FALSE;
    }
    if (options->profile != NULL) {
        *profile = kd_profile_load_named(folders, options->profile, error);
    } else if (options->debugger != NULL) {
        *profile = kd_profile_find(folders, options->debugger[0], error);
    } else {
        return TRUE;
    }
    if (*profile != NULL && options->debugger != NULL && !kd_profile_check_start(*profile, error)) {
        g_prefix_error(error, "%s: ", (*profile)->path);
        return FALSE;
    }
    return *profile != NULL;
}

/* The plan has them now, and knows which part of them is a secret. */
static void
forget_strings(const KdClientOptions *options)
{
    char *const texts[] = {options->connection, options->server, options->trans};

    for (guint i = 0; i < G_N_ELEMENTS(texts); i++) {
        if (texts[i] != NULL) {
            kd_secret_wipe(texts[i], strlen(texts[i]));
        }
    }
}

/* Wrong usage is found before anything is opened. */
static int
hand_over(const KdClientOptions *options, const KdRegistry *registry)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(KdPlan) plan =
        kd_plan_new(options->connection, options->server, options->trans, &error);
    g_autoptr(KdProfile) profile = NULL;
    KdHandover handover = {0};

    forget_strings(options);
    if (plan == NULL || !choose_kind(options, &handover, &error) ||
        !find_profile(options, &profile, &error)) {
        return print_failure(error, KD_EXIT_USAGE);
    }
    handover.profile = profile;
    if (!kd_connection_resolve(plan, registry, &error)) {
        return print_failure(error, KD_EXIT_USAGE);
    }
    if (!kd_connection_prepare(plan, &error)) {
        return print_failure(error, kd_outcome_get_status(error));
    }
    if (!kd_loop_start(&error)) {
        return print_failure(error, KD_EXIT_FAILED);
    }
    return kd_bridge_run(plan, registry, &handover);
}

/**
 * kd_client_run:
 * @options: the command line; what may have a secret in it is wiped
 * @registry: loaded plugins
 *
 * Lists links, or hands one to the debugger. Wrong usage is found before anything is opened.
 *
 * Returns: exit status: 0 clean, 1 failed, 2 wrong usage; or that of the debugger which was started
 */
int
kd_client_run(const KdClientOptions *options, const KdRegistry *registry)
{
    return options->list != NULL ? kd_links_run(options, registry) : hand_over(options, registry);
}

/**
 * kd_client_build_help:
 *
 * Returns: (transfer full): what --help says below the options
 */
char *
kd_client_build_help(void)
{
    g_autofree char *usage = kd_params_build_usage("kdsrv", kd_plan_params, KD_FORM_CLIENT);

    return g_strdup_printf(
        "The link:\n"
        "  -k '%s'\n"
        "      over a connection server; the quotes keep the shell from tearing @{...} apart\n"
        "      CLIENT-TRANSPORT is such as tcp:server=HOST,port=N, ssl:server=HOST,port=N or\n"
        "      npipe:server=HOST,pipe=NAME (kd --help-transport ssl has all keys); with\n"
        "      clicon=HOST instead of server=HOST kd waits until that server dials it\n"
        "  -k LINK\n"
        "      on this machine, as com:pipe,port=/run/vm.sock\n"
        "At a terminal kd asks for a password that the server wants and the string does not have,\n"
        "and whether an unknown certificate is the right one; certuser=THUMBPRINT answers that.\n"
        "\n"
        "The debugger gets the link in exactly one of these ways:\n"
        "  --stdio                    stdin and stdout: target remote | kd -k ... --stdio\n"
        "  --pty[=SYMLINK]            a pseudo terminal\n"
        "  --listen unix:PATH         a socket; one debugger after the other\n"
        "  --listen tcp:HOST:PORT     a port, 0 for any; one debugger after the other\n"
        "  -- DEBUGGER ARGUMENTS      started on the link as its profile says\n"
        "\n"
        "Without a debugger:\n"
        "  --list links [--server CLIENT-TRANSPORT] [--json]\n"
        "      which links there could be, and who has them\n"
        "\n"
        "While it runs:\n"
        "  CTRL+\\, SIGQUIT, SIGUSR1   BREAK, behind the bytes that the debugger has sent\n"
        "  SIGUSR2                    BREAK at once; bytes that still wait are dropped\n"
        "  CTRL+C, SIGTERM            end; CTRL+C is the debugger's while one runs behind --\n"
        "  kd --tell REQUEST          from another terminal: break, break urgent, baud 57600,\n"
        "                             lines, lines dtr=0,rts=1, status, purge\n"
        "\n"
        "With --profile kgdb, what GDB sends for CTRL+C becomes BREAK and g, for a Linux kernel\n"
        "in kgdb on a serial line, and a BREAK of the keys above has its g behind it.\n"
        "\n"
        "Profiles: $XDG_CONFIG_HOME/%s/*.conf, %s/*.conf\n"
        "Exit status: 0 clean, 1 failed, 2 wrong usage; with -- that of the debugger.\n",
        usage, FOLDER_NAME, KD_DEBUGGER_DIR);
}
