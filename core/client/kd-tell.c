/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command `kd --tell`: asks a running kd to do something. */
#include "kd-tell.h"

#include "kd-notice.h"
#include "kd-outcome.h"
#include "kd-tell-folder.h"
#include "kd-tell-request.h"
#include "kd-text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define ANSWER_S 30 /* a BREAK in order waits for the bytes before it                           */
#define LIST_S   2  /* for each kd that is only asked what it has open                          */

/**
 * KdTellPlace:
 * @folder: open
 * @pid: whose socket is in it
 *
 * A running kd.
 */
typedef struct {
    int folder;
    guint pid;
} KdTellPlace;

/* ---- who is there ---- */

static void
clear_place(gpointer data)
{
    (void)close(((KdTellPlace *)data)->folder);
}

/* Root may tell any user's kd what to do, if it says which. */
static uid_t
find_owner(int pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d", pid);
    struct stat info;

    return geteuid() == 0 && pid > 0 && stat(path, &info) == 0 ? info.st_uid : geteuid();
}

static void
add_places(GArray *places, const char *path, uid_t owner, int pid)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) pids = NULL;
    int folder = kd_tell_folder_open(path, owner, FALSE, &error);

    if (folder < 0) {
        return; /* most are not there */
    }
    pids = kd_tell_folder_find_pids(folder);
    for (guint i = 0; i < pids->len; i++) {
        KdTellPlace place = {.pid = g_array_index(pids, guint, i)};

        if (pid > 0 && place.pid != (guint)pid) {
            continue;
        }
        place.folder = dup(folder);
        if (place.folder >= 0) {
            g_array_append_val(places, place);
        }
    }
    (void)close(folder);
}

/* (transfer full) (element-type KdTellPlace) */
static GArray *
find_places(int pid)
{
    uid_t owner = find_owner(pid);
    g_autoptr(GPtrArray) paths = kd_tell_folder_list(owner);
    GArray *places = g_array_new(FALSE, FALSE, sizeof(KdTellPlace));

    g_array_set_clear_func(places, clear_place);
    for (guint i = 0; i < paths->len; i++) {
        gboolean is_known = FALSE;

        for (guint k = 0; k < i; k++) {
            is_known = is_known || strcmp(paths->pdata[i], paths->pdata[k]) == 0;
        }
        if (!is_known) {
            add_places(places, paths->pdata[i], owner, pid);
        }
    }
    return places;
}

/* ---- talking ---- */

static gboolean
is_kd_of(int fd, uid_t owner)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && peer.uid == owner;
}

static gboolean
exchange(int fd, const char *request, int limit_s, GString *answer, GError **error)
{
    const struct timeval limit = {.tv_sec = limit_s};
    g_autofree char *line = g_strconcat(request, "\n", NULL);
    char buf[512];
    gssize n;

    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (send(fd, line, strlen(line), MSG_NOSIGNAL) != (gssize)strlen(line)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED, "takes no requests now");
        return FALSE;
    }
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0 && answer->len < KD_TELL_MAX_ANSWER_BYTES) {
        g_string_append_len(answer, buf, n);
    }
    if (n < 0 && errno == EAGAIN) {
        g_set_error(error, KD_ERROR, KD_ERROR_FAILED, "has not answered within %d s", limit_s);
        return FALSE;
    }
    if (answer->len < 2 || answer->str[0] < '0' || answer->str[0] > '2') {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_FAILED, "has given no answer");
        return FALSE;
    }
    return TRUE;
}

/* Returns: (transfer full) (nullable): the answer's text; its status is in @status */
static char *
ask(const KdTellPlace *place, const char *request, int limit_s, int *status, GError **error)
{
    g_autofree char *name = g_strdup_printf("%u", place->pid);
    g_autoptr(GString) answer = g_string_new(NULL);
    struct stat info;
    int fd = kd_tell_folder_dial(place->folder, name, error);
    gboolean is_answered = FALSE;

    if (fd < 0) {
        return NULL;
    }
    if (fstat(place->folder, &info) != 0 || !is_kd_of(fd, info.st_uid)) {
        g_set_error_literal(error, KD_ERROR, KD_ERROR_POLICY, "is another user's");
    } else {
        is_answered = exchange(fd, request, limit_s, answer, error);
    }
    (void)close(fd);
    if (!is_answered) {
        return NULL;
    }
    *status = answer->str[0] - '0';
    return g_strchomp(g_strdup(answer->str + 2));
}

static void
print_lines(const char *text)
{
    g_auto(GStrv) lines = g_strsplit(text, "\n", 0);

    for (char **line = lines; *line != NULL; line++) {
        g_autofree char *clean =
            kd_text_dup_printable((const uint8_t *)*line, strlen(*line), KD_TELL_MAX_ANSWER_BYTES);

        printf("%s\n", clean);
    }
}

static int
tell(const KdTellPlace *place, const char *request)
{
    g_autoptr(GError) error = NULL;
    int status = KD_EXIT_FAILED;
    g_autofree char *text = ask(place, request, ANSWER_S, &status, &error);

    if (text == NULL) {
        kd_notice_print("the kd with process number %u %s", place->pid, error->message);
        return KD_EXIT_FAILED;
    }
    if (status == KD_EXIT_CLEAN) {
        print_lines(text);
    } else {
        kd_notice_print("%s", text);
    }
    return status;
}

static void
list(GArray *places)
{
    kd_notice_print("more than one kd is running: choose one by --pid PID");
    for (guint i = 0; i < places->len; i++) {
        const KdTellPlace *place = &g_array_index(places, KdTellPlace, i);
        int status = KD_EXIT_FAILED;
        g_autofree char *link = ask(place, "link", LIST_S, &status, NULL);

        kd_notice_print("--pid %u: %s", place->pid, link != NULL ? link : "does not answer");
    }
}

/**
 * kd_tell_run:
 * @request: as typed
 * @pid: of the kd that is meant, 0 = the only one that runs
 *
 * Asks a running kd of the same user, and prints the answer.
 *
 * Returns: exit status: 0 done, 1 failed, 2 wrong usage
 */
int
kd_tell_run(const char *request, int pid)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(GArray) places = NULL;
    KdTellRequest parsed;

    if (!kd_tell_request_parse(&parsed, request, &error)) {
        kd_notice_print("%s", error->message);
        return KD_EXIT_USAGE;
    }
    places = find_places(pid);
    if (places->len == 0 && pid > 0) {
        kd_notice_print("no kd with process number %d is running, or it is another user's", pid);
        return KD_EXIT_FAILED;
    }
    if (places->len == 0) {
        kd_notice_print("no kd is running that could be told");
        return KD_EXIT_FAILED;
    }
    if (places->len > 1) {
        list(places);
        return KD_EXIT_USAGE;
    }
    return tell(&g_array_index(places, KdTellPlace, 0), request);
}
