/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where certificates, keys and anchors of a user and of the machine lie. */
#include "kd-cert-folders.h"

static const char *machine_folder = "/etc/kdsrv";

static char *
build_path(KdCertStore store, const char *name)
{
    return store == KD_CERT_STORE_MACHINE
               ? g_build_filename(machine_folder, name, NULL)
               : g_build_filename(g_get_user_config_dir(), "kdsrv", name, NULL);
}

/**
 * kd_cert_folders_build_certs:
 * @store: whose
 *
 * Returns: (transfer full): folder of certificates, with keys or without
 */
char *
kd_cert_folders_build_certs(KdCertStore store)
{
    return build_path(store, "certs");
}

/**
 * kd_cert_folders_build_keys:
 * @store: whose
 *
 * Returns: (transfer full): folder of the keys that are not beside their certificates
 */
char *
kd_cert_folders_build_keys(KdCertStore store)
{
    return build_path(store, store == KD_CERT_STORE_MACHINE ? "private" : "certs");
}

/**
 * kd_cert_folders_build_anchors:
 * @store: whose
 *
 * Returns: (transfer full): folder of those who may vouch for a server
 */
char *
kd_cert_folders_build_anchors(KdCertStore store)
{
    return build_path(store, "ca");
}

/**
 * kd_cert_folders_build_client_anchors:
 *
 * Returns: (transfer full): file or folder of those who may vouch for a client
 */
char *
kd_cert_folders_build_client_anchors(void)
{
    return build_path(KD_CERT_STORE_MACHINE, "client-ca");
}

/**
 * kd_cert_folders_move_machine_for_test:
 * @folder: instead of /etc/kdsrv; not copied
 *
 * Lets a test have a machine's store of its own. Nothing in the commands calls it, and no variable
 * of the environment does the same: what a privileged server trusts is not its caller's choice.
 */
void
kd_cert_folders_move_machine_for_test(const char *folder)
{
    machine_folder = folder;
}
