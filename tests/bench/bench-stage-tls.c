/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Relays that encrypt: each with one thread, the same certificate, and the target's socket behind.
 *
 * They can't be asked to have the kernel choose a port, so they are given one that was free a
 * moment ago, and another one where somebody else has taken it meanwhile. */
#include "bench-stage-private.h"
#include "bench-tls.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define N_TRIES    5
#define SSH_CIPHER "aes256-gcm@openssh.com"

/* ---- what is there -------------------------------------------------------------------------- */

/* Servers are often not in a user's PATH. */
static char *
find_program(const char *name)
{
    static const char *const folders[] = {"/usr/sbin", "/usr/local/sbin", "/sbin"};
    char *path = g_find_program_in_path(name);

    for (guint i = 0; path == NULL && i < G_N_ELEMENTS(folders); i++) {
        g_autofree char *candidate = g_build_filename(folders[i], name, NULL);

        if (g_file_test(candidate, G_FILE_TEST_IS_EXECUTABLE)) {
            path = g_steal_pointer(&candidate);
        }
    }
    return path;
}

/* What nginx has to load to relay streams: "" where it is part of it, %NULL where it is missing. */
static char *
find_stream_module(const char *nginx)
{
    g_autofree char *said = NULL;
    g_autoptr(GRegex) regex = g_regex_new("--modules-path=(\\S+)", 0, 0, NULL);
    g_autoptr(GMatchInfo) match = NULL;
    g_autofree char *folder = NULL;
    g_autofree char *path = NULL;
    const char *argv[] = {nginx, "-V", NULL};

    if (!g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                      &said, NULL, NULL)) {
        return NULL;
    }
    if (strstr(said, "--with-stream ") != NULL) {
        return g_strdup("");
    }
    if (!g_regex_match(regex, said, 0, &match)) {
        return NULL;
    }
    folder = g_match_info_fetch(match, 1);
    path = g_build_filename(folder, "ngx_stream_module.so", NULL);
    return g_file_test(path, G_FILE_TEST_EXISTS) ? g_strdup_printf("load_module %s;\n", path)
                                                 : NULL;
}

static gboolean
have_programs(const char *const *names, char **reason)
{
    for (guint i = 0; names[i] != NULL; i++) {
        g_autofree char *path = find_program(names[i]);

        if (path == NULL) {
            *reason = g_strdup_printf("%s is not installed", names[i]);
            return FALSE;
        }
    }
    return TRUE;
}

/**
 * bench_stage_is_tls_present:
 * @reason: (out): why not
 *
 * Returns: whether all the programs of @peer, if it is one of those here, are there.
 */
gboolean
bench_stage_is_tls_present(BenchPeer peer, char **reason)
{
    static const char *const nginx[] = {"nginx", NULL};
    static const char *const haproxy[] = {"haproxy", NULL};
    static const char *const stunnel[] = {"stunnel", NULL};
    static const char *const ssh[] = {"sshd", "ssh", "ssh-keygen", NULL};
    g_autofree char *path = NULL;
    g_autofree char *module = NULL;

    switch (peer) {
    case BENCH_PEER_HAPROXY:
        return have_programs(haproxy, reason);
    case BENCH_PEER_STUNNEL:
        return have_programs(stunnel, reason);
    case BENCH_PEER_SSH:
        return have_programs(ssh, reason);
    case BENCH_PEER_NGINX:
        break;
    default:
        return TRUE;
    }
    if (!have_programs(nginx, reason)) {
        return FALSE;
    }
    path = find_program("nginx");
    module = find_stream_module(path);
    if (module == NULL) {
        *reason = g_strdup("nginx's stream module is not installed");
    }
    return module != NULL;
}

/* ---- files ---------------------------------------------------------------------------------- */

static char *
write_file(BenchStage *stage, const char *name, const char *text, GError **error)
{
    g_autofree char *path = g_build_filename(stage->folder, name, NULL);

    return g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, error)
               ? g_steal_pointer(&path)
               : NULL;
}

/**
 * bench_stage_write_identity:
 *
 * Writes certificate and key, the same for all relays of this process.
 *
 * Returns: (transfer full): the path.
 */
char *
bench_stage_write_identity(BenchStage *stage, GError **error)
{
    static char *identity;

    if (identity == NULL) {
        identity = bench_tls_build_identity(error);
    }
    return identity != NULL ? write_file(stage, "identity.pem", identity, error) : NULL;
}

/* ---- programs ------------------------------------------------------------------------------- */

static BenchChild *
start_nginx(BenchStage *stage, uint16_t port, GError **error)
{
    g_autofree char *path = find_program("nginx");
    g_autofree char *module = find_stream_module(path);
    g_autofree char *text =
        g_strdup_printf("%s"
                        "daemon off; master_process off; worker_processes 1;\n"
                        "pid %s/nginx.pid; error_log stderr emerg; worker_rlimit_nofile 8192;\n"
                        "events { worker_connections 8000; }\n"
                        "stream { server {\n"
                        "  listen 127.0.0.1:%u ssl backlog=1024; proxy_pass unix:%s;\n"
                        "  ssl_certificate %s/identity.pem; ssl_certificate_key %s/identity.pem;\n"
                        "  ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;\n"
                        "  tcp_nodelay on; proxy_timeout 10m; proxy_buffer_size 64k;\n"
                        "} }\n",
                        module != NULL ? module : "", stage->folder, port, stage->entry.path,
                        stage->folder, stage->folder);
    g_autofree char *file = write_file(stage, "nginx.conf", text, error);
    /* -e: before it has read that, it would write to a folder that may be root's */
    const char *argv[] = {path, "-e", "stderr", "-c", file, NULL};

    return file != NULL ? bench_stage_start(stage, argv, error) : NULL;
}

static BenchChild *
start_haproxy(BenchStage *stage, uint16_t port, GError **error)
{
    g_autofree char *text = g_strdup_printf(
        "global\n nbthread 1\n maxconn 4000\n"
        "defaults\n mode tcp\n maxconn 4000\n backlog 1024\n"
        " timeout connect 5s\n timeout client 10m\n timeout server 10m\n"
        "listen l\n bind 127.0.0.1:%u ssl crt %s/identity.pem ssl-min-ver TLSv1.3 no-tls-tickets\n"
        " server s unix@%s\n",
        port, stage->folder, stage->entry.path);
    g_autofree char *path = find_program("haproxy");
    g_autofree char *file = write_file(stage, "haproxy.conf", text, error);
    const char *argv[] = {path, "-db", "-q", "-f", file, NULL};

    return file != NULL ? bench_stage_start(stage, argv, error) : NULL;
}

static BenchChild *
start_stunnel(BenchStage *stage, uint16_t port, GError **error)
{
    g_autofree char *text =
        g_strdup_printf("foreground = yes\npid =\ndebug = emerg\nsyslog = no\n"
                        "socket = l:TCP_NODELAY=1\nsocket = r:TCP_NODELAY=1\n"
                        "[s]\naccept = 127.0.0.1:%u\nconnect = %s\ncert = %s/identity.pem\n"
                        "sslVersionMin = TLSv1.3\noptions = NO_TICKET\n",
                        port, stage->entry.path, stage->folder);
    g_autofree char *path = find_program("stunnel");
    g_autofree char *file = write_file(stage, "stunnel.conf", text, error);
    const char *argv[] = {path, file, NULL};

    return file != NULL ? bench_stage_start(stage, argv, error) : NULL;
}

static BenchChild *
start_relay_tls(BenchStage *stage, uint16_t port, GError **error)
{
    g_autofree char *program = g_build_filename(stage->setting->tools, "bench-relay-tls", NULL);
    g_autofree char *identity = g_build_filename(stage->folder, "identity.pem", NULL);
    g_autofree char *back = g_strdup_printf("unix:%s", stage->entry.path);
    g_autofree char *flip = g_strdup_printf("%u", stage->setting->flip_at);
    const char *argv[] = {program, identity, back, flip, NULL};

    (void)port; /* the kernel chooses */
    return bench_stage_start(stage, argv, error);
}

/* ---- ssh ------------------------------------------------------------------------------------ */

static gboolean
make_ssh_key(BenchStage *stage, const char *name, char **public_key, GError **error)
{
    g_autofree char *program = find_program("ssh-keygen");
    g_autofree char *path = g_build_filename(stage->folder, name, NULL);
    g_autofree char *public_path = g_strdup_printf("%s.pub", path);
    const char *argv[] = {program, "-q", "-t", "ed25519", "-N", "", "-f", path, NULL};
    int status = 0;

    return g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL, NULL,
                        NULL, &status, error) &&
           g_spawn_check_wait_status(status, error) &&
           g_file_get_contents(public_path, public_key, NULL, error);
}

/* As root sshd wants a folder that only exists where it runs as a service: it gets a /run of its
 * own, which nobody else sees. */
static BenchChild *
start_sshd(BenchStage *stage, uint16_t port, GError **error)
{
    g_autofree char *program = find_program("sshd");
    g_autofree char *text = g_strdup_printf(
        "Port %u\nListenAddress 127.0.0.1\nHostKey %s/host\nAuthorizedKeysFile %s/user.pub\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nPasswordAuthentication no\n"
        "KbdInteractiveAuthentication no\nUseDNS no\nAllowStreamLocalForwarding yes\n",
        port, stage->folder, stage->folder);
    g_autofree char *path = write_file(stage, "sshd.conf", text, error);
    g_autofree char *quoted = g_shell_quote(path != NULL ? path : "");
    g_autofree char *script = g_strdup_printf("mount -t tmpfs -o mode=755 tmpfs /run && "
                                              "mkdir -m 755 /run/sshd && exec %s -D -e -f %s",
                                              program, quoted);
    const char *as_root[] = {"unshare", "-m", "sh", "-c", script, NULL};
    const char *as_user[] = {program, "-D", "-e", "-f", path, NULL};

    if (path == NULL) {
        return NULL;
    }
    return bench_stage_start(stage, geteuid() == 0 ? as_root : as_user, error);
}

static BenchChild *
start_ssh(BenchStage *stage, uint16_t port, GError **error)
{
    g_autofree char *program = find_program("ssh");
    g_autofree char *back = bench_target_build_path(stage->folder, 0);
    g_autofree char *key = g_build_filename(stage->folder, "user", NULL);
    g_autofree char *known = g_strdup_printf("UserKnownHostsFile=%s/known_hosts", stage->folder);
    g_autofree char *server_port = g_strdup_printf("%u", stage->entry.port);
    g_autofree char *forward = g_strdup_printf("127.0.0.1:%u:%s", port, back);
    g_autofree char *who = g_strdup_printf("%s@127.0.0.1", g_get_user_name());
    const char *argv[] = {program, "-N",
                          "-F",    "none",
                          "-i",    key,
                          "-c",    SSH_CIPHER,
                          "-o",    known,
                          "-o",    "StrictHostKeyChecking=yes",
                          "-o",    "IdentitiesOnly=yes",
                          "-o",    "IdentityAgent=none",
                          "-o",    "ExitOnForwardFailure=yes",
                          "-o",    "BatchMode=yes",
                          "-p",    server_port,
                          "-L",    forward,
                          who,     NULL};

    return bench_stage_start(stage, argv, error);
}

/* ---- all of them ---------------------------------------------------------------------------- */

static gboolean
add_on_free_port(BenchStage *stage, BenchStartFunc start, GError **error)
{
    BenchAddress behind = stage->entry;

    for (int i = 0; i < N_TRIES; i++) {
        BenchChild *child;

        g_clear_error(error);
        stage->entry = behind;
        child = start(stage, bench_stage_find_free_port(), error);
        if (child == NULL) {
            return FALSE;
        }
        if (bench_stage_await_entry(stage, child, NULL, error)) {
            return TRUE;
        }
        g_ptr_array_remove(stage->relays, child);
        bench_child_stop(child);
    }
    return FALSE;
}

static gboolean
add_ssh(BenchStage *stage, GError **error)
{
    g_autofree char *host_key = NULL;
    g_autofree char *user_key = NULL;
    g_autofree char *known = NULL;
    g_autofree char *path = NULL;

    if (!make_ssh_key(stage, "host", &host_key, error) ||
        !make_ssh_key(stage, "user", &user_key, error) ||
        !add_on_free_port(stage, start_sshd, error)) {
        return FALSE;
    }
    known = g_strdup_printf("[127.0.0.1]:%u %s", stage->entry.port, host_key);
    path = write_file(stage, "known_hosts", known, error);
    stage->security = g_strdup("ssh " SSH_CIPHER);
    return path != NULL && add_on_free_port(stage, start_ssh, error);
}

/**
 * bench_stage_add_tls:
 *
 * Starts a relay that encrypts, in front of the target.
 *
 * Returns: whether it listens.
 */
gboolean
bench_stage_add_tls(BenchStage *stage, GError **error)
{
    g_autofree char *identity = bench_stage_write_identity(stage, error);

    if (identity == NULL) {
        return FALSE;
    }
    switch (stage->peer) {
    case BENCH_PEER_TLS:
        return add_on_free_port(stage, start_relay_tls, error);
    case BENCH_PEER_NGINX:
        return add_on_free_port(stage, start_nginx, error);
    case BENCH_PEER_HAPROXY:
        return add_on_free_port(stage, start_haproxy, error);
    case BENCH_PEER_STUNNEL:
        return add_on_free_port(stage, start_stunnel, error);
    case BENCH_PEER_SSH:
        return add_ssh(stage, error);
    default:
        g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_ARGUMENT, "%s does not encrypt",
                    bench_peer_get_name(stage->peer));
        return FALSE;
    }
}
