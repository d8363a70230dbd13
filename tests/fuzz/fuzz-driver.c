/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Runs a fuzz target over the files of folders, each once: for compilers without libFuzzer. */
#include "kd-fuzz.h"

#include <glib.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Not every target needs it. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);

static gboolean
run_file(const char *path, GError **error)
{
    g_autofree char *contents = NULL;
    uint8_t *exact = NULL;
    gsize len = 0;

    if (!g_file_get_contents(path, &contents, &len, error))
        return FALSE;
    printf("%s\n", path);
    fflush(stdout);
    /* as long as the file, without g_file_get_contents()'s NUL: a read beyond it is seen */
    exact = malloc(len > 0 ? len : 1);
    if (len > 0)
        memcpy(exact, contents, len);
    LLVMFuzzerTestOneInput(exact, len);
    free(exact);
    return TRUE;
}

static gboolean
run_folder(const char *path, guint *n_files, GError **error)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, error);
    const char *name = NULL;

    if (folder == NULL)
        return FALSE;
    while ((name = g_dir_read_name(folder)) != NULL) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        if (!run_file(file, error))
            return FALSE;
        (*n_files)++;
    }
    return TRUE;
}

int
main(int argc, char **argv)
{
    g_autoptr(GError) error = NULL;
    guint n_files = 0;

    if (LLVMFuzzerInitialize != NULL)
        LLVMFuzzerInitialize(&argc, &argv);
    for (int i = 1; i < argc; i++)
        if (!run_folder(argv[i], &n_files, &error)) {
            fprintf(stderr, "%s\n", error->message);
            return 1;
        }
    if (n_files == 0) {
        fprintf(stderr, "nothing to run\n");
        return 1;
    }
    return 0;
}
