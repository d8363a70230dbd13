/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Folders of the machine's that the commands see as their own: /run and, where wanted, /etc. */
#include "kd-e2e-places.h"

#include <glib/gstdio.h>

#include <unistd.h>

static void
copy_etc(KdE2ePlaces *places, const KdE2eStage *stage)
{
    const char *argv[] = {"cp", "-a", "/etc", stage->folder, NULL};
    g_autoptr(KdE2eProgram) copy = kd_e2e_program_new(argv, NULL);

    g_assert_cmpint(kd_e2e_program_wait(copy), ==, 0);
    places->etc = g_build_filename(stage->folder, "etc", NULL);
    places->mounts[2] = places->etc;
    places->mounts[3] = "/etc";
}

static gboolean
may_mount(const KdE2ePlaces *places)
{
    static const char *const argv[] = {"true", NULL};
    g_autoptr(KdE2eProgram) probe = kd_e2e_program_new(argv, &places->setup);

    return kd_e2e_program_wait(probe) == 0;
}

/**
 * kd_e2e_places_set_up:
 * @places: (out caller-allocates): the places
 * @wants_etc: also a copy of /etc that may be changed
 *
 * Makes folders that hide the machine's own. A user who has no rights there needs none hidden, but
 * gets no /etc: the test is skipped then.
 *
 * Returns: whether there are such places; if not, the test is skipped
 */
gboolean
kd_e2e_places_set_up(KdE2ePlaces *places, const KdE2eStage *stage, gboolean wants_etc)
{
    *places = (KdE2ePlaces){0};
    if (geteuid() != 0 && !wants_etc) {
        places->pipes = g_build_filename(stage->folder, "kdsrv", "pipe", NULL);
        return TRUE;
    }
    places->run = g_build_filename(stage->folder, "run", NULL);
    places->pipes = g_build_filename(places->run, "kdsrv", "pipe", NULL);
    g_assert_cmpint(g_mkdir_with_parents(places->run, 0755), ==, 0);
    places->mounts[0] = places->run;
    places->mounts[1] = "/run";
    places->setup.mounts = places->mounts;
    if (!may_mount(places)) {
        g_test_skip("this user may not mount");
        return FALSE;
    }
    if (wants_etc) {
        copy_etc(places, stage);
    }
    return TRUE;
}

/**
 * kd_e2e_places_clear:
 * @places: the places
 *
 * Forgets them; the stage removes the folders.
 */
void
kd_e2e_places_clear(KdE2ePlaces *places)
{
    g_clear_pointer(&places->pipes, g_free);
    g_clear_pointer(&places->etc, g_free);
    g_clear_pointer(&places->run, g_free);
}
