/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Each way into a server, as it is documented, with GDB at one end and a machine at the other. */
#include "kd-e2e-certs.h"
#include "kd-e2e-gdb.h"
#include "kd-e2e-places.h"
#include "kd-e2e-relay.h"

#include <string.h>
#include <unistd.h>

#define HERE "127.0.0.1"

/**
 * Lab:
 * @places: that the commands see
 * @trans: names the machine
 *
 * A machine, and what the commands need to reach it by any door.
 */
typedef struct {
    KdE2eStage *stage;
    KdE2ePlaces places;
    char *trans;
    KdE2eProgram *vm;
} Lab;

static gboolean
lab_set_up(Lab *lab, KdE2eStage *stage, gboolean wants_etc)
{
    g_autofree char *path = kd_e2e_stage_build_path(stage, "vm.sock");

    if (kd_e2e_is_missing("gdb") || kd_e2e_is_missing("qemu-system-x86_64") ||
        !kd_e2e_places_set_up(&lab->places, stage, wants_etc)) {
        return FALSE;
    }
    lab->stage = stage;
    lab->trans = g_strdup_printf("com:pipe,port=%s", path);
    lab->vm = kd_e2e_vm_new(path);
    return TRUE;
}

static void
lab_tear_down(Lab *lab)
{
    kd_e2e_program_free(lab->vm);
    kd_e2e_places_clear(&lab->places);
    g_free(lab->trans);
}

/* The user's or the machine's, as people make them. */
static void
make_cert(Lab *lab, const char *name, const char *option)
{
    g_autoptr(KdE2eProgram) kdsrv =
        kd_e2e_stage_run("kdsrv", &lab->places.setup, "--make-cert", name, option, NULL);
    int status = kd_e2e_program_wait(kdsrv);

    if (status != 0) {
        g_error("kdsrv --make-cert: %s", kd_e2e_program_get_text(kdsrv, KD_E2E_STDERR));
    }
}

static KdE2eProgram *
start_kd(Lab *lab, const char *transport)
{
    g_autofree char *link =
        g_strdup_printf("kdsrv:server=@{%s},trans=@{%s}", transport, lab->trans);

    return kd_e2e_stage_run("kd", &lab->places.setup, "-k", link, "--profile", KD_GDB_PROFILE, "--",
                            "gdb", "-q", "-nx", NULL);
}

/* A whole session, from the reset vector on. */
static void
check_session(KdE2eProgram *kd)
{
    KdE2eGdb gdb;

    kd_e2e_gdb_init(&gdb, kd);
    kd_e2e_gdb_check_new_machine(&gdb);
    kd_e2e_gdb_check_interrupt(&gdb);
    kd_e2e_gdb_leave(&gdb);
}

/* ---- the client dials ---- */

static void
check_door(Lab *lab, const char *server, const char *client)
{
    g_autoptr(KdE2eProgram) kd = NULL;

    g_free(kd_e2e_stage_serve(lab->stage, &lab->places.setup, "-t", server, "--allow-path",
                              lab->stage->folder, NULL));
    kd = start_kd(lab, client);
    check_session(kd);
}

static void
check_port_door(Lab *lab, const char *server, const char *client)
{
    g_autofree char *listen = kd_e2e_stage_build_listen(lab->stage, server);
    g_autofree char *dial = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;

    g_free(kd_e2e_stage_serve(lab->stage, &lab->places.setup, "-t", listen, "--allow-path",
                              lab->stage->folder, NULL));
    dial = g_strdup_printf("%s,port=%u", client, lab->stage->port);
    kd = start_kd(lab, dial);
    check_session(kd);
}

static void
test_npipe(KdE2eStage *stage, gconstpointer unused)
{
    Lab lab;

    (void)unused;
    if (lab_set_up(&lab, stage, FALSE)) {
        check_door(&lab, "npipe:pipe=lab", "npipe:server=.,pipe=lab");
        lab_tear_down(&lab);
    }
}

static void
test_npipe_password(KdE2eStage *stage, gconstpointer unused)
{
    Lab lab;

    (void)unused;
    if (lab_set_up(&lab, stage, FALSE)) {
        check_door(&lab, "npipe:pipe=lab,hidden,password=Abc123",
                   "npipe:server=\\\\localhost,pipe=lab,password=Abc123");
        lab_tear_down(&lab);
    }
}

static void
test_tcp_password(KdE2eStage *stage, gconstpointer unused)
{
    Lab lab;

    (void)unused;
    if (lab_set_up(&lab, stage, FALSE)) {
        check_port_door(&lab, "tcp:hidden,password=Abc123", "tcp:server=" HERE ",password=Abc123");
        lab_tear_down(&lab);
    }
}

static void
test_tcp_6(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *server = g_strdup_printf("tcp:port=%u,ipversion=6,bind=::1", stage->low);
    g_autofree char *client = g_strdup_printf("tcp:server=::1,port=%u,ipversion=6", stage->low);
    Lab lab;

    (void)unused;
    if (!g_file_test("/proc/net/if_inet6", G_FILE_TEST_EXISTS)) {
        g_test_skip("this machine has no IPv6");
        return;
    }
    if (lab_set_up(&lab, stage, FALSE)) {
        check_door(&lab, server, client);
        lab_tear_down(&lab);
    }
}

static void
check_spipe(KdE2eStage *stage, const char *store, const char *password, const char *option)
{
    g_autofree char *server =
        g_strdup_printf("spipe:proto=tls1,%s=lab,pipe=lab,hidden%s", store, password);
    g_autofree char *client =
        g_strdup_printf("spipe:proto=tls1,%s=lab,server=.,pipe=lab%s", store, password);
    Lab lab;

    if (lab_set_up(&lab, stage, option != NULL)) {
        make_cert(&lab, "lab", option);
        check_door(&lab, server, client);
        lab_tear_down(&lab);
    }
}

static void
test_spipe_user(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_spipe(stage, "certuser", "", NULL);
}

static void
test_spipe_machine(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_spipe(stage, "machuser", ",password=Abc123", "--machine");
}

static void
check_ssl(KdE2eStage *stage, const char *keys, const char *password, const char *option)
{
    g_autofree char *server = g_strdup_printf("ssl:%s,hidden%s", keys, password);
    g_autofree char *client = g_strdup_printf("ssl:%s,server=" HERE "%s", keys, password);
    Lab lab;

    if (lab_set_up(&lab, stage, option != NULL)) {
        make_cert(&lab, "lab", option);
        check_port_door(&lab, server, client);
        lab_tear_down(&lab);
    }
}

static void
test_ssl_user(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_ssl(stage, "proto=tls1,certuser=lab", "", NULL);
}

static void
test_ssl_machine(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_ssl(stage, "proto=tls1,machuser=lab", "", "--machine");
}

static void
test_ssl_password(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_ssl(stage, "proto=tls1.2,certuser=lab", ",password=Abc123", NULL);
}

/* ---- the server dials ---- */

static KdE2eProgram *
start_dialling(Lab *lab, const char *keys)
{
    g_autofree char *transport = g_strdup_printf("%s,port=%u", keys, lab->stage->low + 1);

    return kd_e2e_stage_run("kdsrv", &lab->places.setup, "-t", transport, "--allow-path",
                            lab->stage->folder, NULL);
}

static KdE2eProgram *
start_waiting(Lab *lab, const char *keys)
{
    g_autofree char *transport = g_strdup_printf("%s,port=%u", keys, lab->stage->low + 1);

    return start_kd(lab, transport);
}

/* Whoever starts first. */
static void
check_dialled(KdE2eStage *stage, const char *server, const char *client, gboolean has_cert)
{
    for (int i = 0; i < 2; i++) {
        g_autoptr(KdE2eProgram) kdsrv = NULL;
        g_autoptr(KdE2eProgram) kd = NULL;
        Lab lab;

        if (!lab_set_up(&lab, stage, FALSE)) {
            return;
        }
        if (has_cert && i == 0) {
            make_cert(&lab, "lab", NULL);
        }
        if (i == 0) {
            kdsrv = start_dialling(&lab, server);
            kd = start_waiting(&lab, client);
        } else {
            kd = start_waiting(&lab, client);
            kdsrv = start_dialling(&lab, server);
        }
        check_session(kd);
        lab_tear_down(&lab);
    }
}

static void
test_tcp_dialled(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_dialled(stage, "tcp:clicon=" HERE ",password=Abc123",
                  "tcp:clicon=" HERE ",password=Abc123", FALSE);
}

static void
test_ssl_dialled(KdE2eStage *stage, gconstpointer unused)
{
    (void)unused;
    check_dialled(stage, "ssl:proto=tls1,certuser=lab,clicon=" HERE ",password=Abc123",
                  "ssl:proto=tls1,certuser=lab,clicon=" HERE ",password=Abc123", TRUE);
}

/* The client may have a range, and waits at its first port that is free; F15. */
static void
test_range(KdE2eStage *stage, gconstpointer unused)
{
    g_autofree char *range =
        g_strdup_printf("tcp:clicon=" HERE ",port=%u:%u", stage->low, stage->low + 3);
    g_autofree char *first = g_strdup_printf("tcp:port=%u,bind=" HERE, stage->low);
    g_autoptr(KdE2eProgram) kdsrv = NULL;
    g_autoptr(KdE2eProgram) kd = NULL;
    Lab lab;

    (void)unused;
    if (!lab_set_up(&lab, stage, FALSE)) {
        return;
    }
    g_free(kd_e2e_stage_serve(stage, &lab.places.setup, "-t", first, NULL)); /* has that port */
    kd = start_kd(&lab, range);
    kdsrv = start_dialling(&lab, "tcp:clicon=" HERE);
    check_session(kd);
    lab_tear_down(&lab);
}

int
main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    kd_e2e_add("/e2e/doors/npipe-carries-gdb", test_npipe);
    kd_e2e_add("/e2e/doors/npipe-hidden-with-password-carries-gdb", test_npipe_password);
    kd_e2e_add("/e2e/doors/tcp-hidden-with-password-carries-gdb", test_tcp_password);
    kd_e2e_add("/e2e/doors/tcp-over-ipv6-carries-gdb", test_tcp_6);
    kd_e2e_add("/e2e/doors/tcp-that-the-server-dials-carries-gdb", test_tcp_dialled);
    kd_e2e_add("/e2e/doors/tcp-that-the-server-dials-into-a-range-carries-gdb", test_range);
    kd_e2e_add("/e2e/doors/spipe-with-a-users-certificate-carries-gdb", test_spipe_user);
    kd_e2e_add("/e2e/doors/spipe-with-the-machines-certificate-carries-gdb", test_spipe_machine);
    kd_e2e_add("/e2e/doors/ssl-with-a-users-certificate-carries-gdb", test_ssl_user);
    kd_e2e_add("/e2e/doors/ssl-with-the-machines-certificate-carries-gdb", test_ssl_machine);
    kd_e2e_add("/e2e/doors/ssl-hidden-with-password-carries-gdb", test_ssl_password);
    kd_e2e_add("/e2e/doors/ssl-that-the-server-dials-carries-gdb", test_ssl_dialled);
    return g_test_run();
}
