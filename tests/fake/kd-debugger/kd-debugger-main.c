/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* kd-debugger: carries out orders on a KD link and prints what came of them. */
#include "kd-debugger-script.h"

#include <gio/gunixsocketaddress.h>

#include <string.h>
#include <unistd.h>

static char *connect_to;
static char *key;
static int net_port = -1;
static int read_bytes;
static gboolean wants_stdio;
static gboolean wants_script;
static char **order_lines;

static const GOptionEntry options[] = {
    {"stdio", 0, 0, G_OPTION_ARG_NONE, &wants_stdio, "KDCOM on stdin and stdout, words on stderr",
     NULL},
    {"connect", 0, 0, G_OPTION_ARG_STRING, &connect_to, "KDCOM on a socket: PATH or HOST:PORT",
     "WHERE"},
    {"net", 0, 0, G_OPTION_ARG_INT, &net_port, "KDNET as the host, on this UDP port", "PORT"},
    {"key", 0, 0, G_OPTION_ARG_STRING, &key, "of the target, with --net", "W.X.Y.Z"},
    {"script", 0, 0, G_OPTION_ARG_NONE, &wants_script, "the whole script instead of orders", NULL},
    {"read", 0, 0, G_OPTION_ARG_INT, &read_bytes, "how much the script reads", "BYTES"},
    {G_OPTION_REMAINING, 0, 0, G_OPTION_ARG_STRING_ARRAY, &order_lines, NULL, "ORDER..."},
    {NULL, 0, 0, G_OPTION_ARG_NONE, NULL, NULL, NULL},
};

/* A socket by path or by address. */
static int
dial(const char *where, GError **error)
{
    g_autoptr(GSocketClient) client = g_socket_client_new();
    g_autoptr(GSocketConnectable) address = NULL;
    g_autoptr(GSocketConnection) connection = NULL;
    int fd;

    if (where[0] == '/') {
        address = G_SOCKET_CONNECTABLE(g_unix_socket_address_new(where));
    } else {
        address = g_network_address_parse(where, 0, error);
    }
    if (address == NULL) {
        return -1;
    }
    connection = g_socket_client_connect(client, address, NULL, error);
    if (connection == NULL) {
        return -1;
    }
    fd = dup(g_socket_get_fd(g_socket_connection_get_socket(connection)));
    if (fd < 0) {
        g_set_error_literal(error, G_IO_ERROR, G_IO_ERROR_FAILED, "no descriptor is left");
    }
    return fd;
}

static KdDebugger *
open_link(void *user, GError **error)
{
    int fd;

    (void)user;
    if (net_port >= 0) {
        return kd_debugger_new_net((uint16_t)net_port, key != NULL ? key : "", error);
    }
    if (connect_to != NULL) {
        fd = dial(connect_to, error);
        return fd >= 0 ? kd_debugger_new(fd, fd) : NULL;
    }
    return kd_debugger_new(dup(STDIN_FILENO), dup(STDOUT_FILENO));
}

static gboolean
run_script(GString *transcript, GError **error)
{
    KdDebuggerScript script = {.read_bytes = (size_t)read_bytes};
    g_autofree char *text = kd_debugger_script_run(&script, open_link, NULL, error);

    g_string_append(transcript, text != NULL ? text : "");
    return text != NULL;
}

static gboolean
run_orders(GString *transcript, GError **error)
{
    g_autoptr(KdDebugger) debugger = open_link(NULL, error);

    for (char **line = order_lines; debugger != NULL && line != NULL && *line != NULL; line++) {
        if (!kd_debugger_script_order(debugger, *line, transcript, error)) {
            g_prefix_error(error, "%s: ", *line);
            return FALSE;
        }
    }
    return debugger != NULL;
}

int
main(int argc, char **argv)
{
    g_autoptr(GOptionContext) context = g_option_context_new(NULL);
    g_autoptr(GString) transcript = g_string_new(NULL);
    g_autoptr(GError) error = NULL;
    gboolean is_done;

    g_option_context_add_main_entries(context, options, NULL);
    if (!g_option_context_parse(context, &argc, &argv, &error)) {
        g_printerr("kd-debugger: %s\n", error->message);
        return 2;
    }
    if (!wants_stdio && connect_to == NULL && net_port < 0) {
        g_printerr("kd-debugger: say where the link is: --stdio, --connect or --net\n");
        return 2;
    }
    is_done = wants_script ? run_script(transcript, &error) : run_orders(transcript, &error);
    if (wants_stdio) {
        g_printerr("%s", transcript->str);
    } else {
        g_print("%s", transcript->str);
    }
    if (!is_done) {
        g_printerr("kd-debugger: %s\n", error->message);
    }
    return is_done ? 0 : 1;
}
