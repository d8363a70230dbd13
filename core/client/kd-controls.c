/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Control operations of a client that were asked for and not answered yet. */
#include "kd-controls.h"

#include "kd-control-queue.h"

static const char NO_BREAK[] = "this link has no BREAK: only a serial line has one, a socket "
                               "carries bytes alone, also that of a virtual machine";

typedef struct {
    uint32_t id;
    KdControlledFunc fn;
    void *user;
} KdAsked;

struct KdControls {
    GQueue asked; /* (element-type KdAsked) */
    uint32_t last_id;
};

/**
 * kd_controls_new:
 *
 * Returns: (transfer full): nothing asked for
 */
KdControls *
kd_controls_new(void)
{
    KdControls *controls = g_new0(KdControls, 1);

    g_queue_init(&controls->asked);
    return controls;
}

/**
 * kd_controls_free:
 * @controls: (nullable): whatever was asked for
 *
 * Answers what is unanswered: the session has ended.
 */
void
kd_controls_free(KdControls *controls)
{
    g_autoptr(GError) error = NULL;
    KdAsked *asked;

    if (controls == NULL) {
        return;
    }
    g_set_error_literal(&error, KD_ERROR, KD_ERROR_FAILED, "the session has ended");
    while ((asked = g_queue_pop_head(&controls->asked)) != NULL) {
        asked->fn(0, NULL, error, asked->user);
        g_free(asked);
    }
    g_free(controls);
}

/**
 * kd_controls_add:
 * @controls: what was asked for so far
 * @fn: takes the answer
 * @user: for @fn
 *
 * Takes note of an operation that is about to be asked for.
 *
 * Returns: its id; 0 when %KD_MAX_CONTROLS are unanswered, and then @fn is not called
 */
uint32_t
kd_controls_add(KdControls *controls, KdControlledFunc fn, void *user)
{
    KdAsked *asked;

    if (controls->asked.length >= KD_MAX_CONTROLS) {
        return 0;
    }
    controls->last_id += controls->last_id == UINT32_MAX ? 2 : 1; /* never 0 */
    asked = g_new(KdAsked, 1);
    *asked = (KdAsked){.id = controls->last_id, .fn = fn, .user = user};
    g_queue_push_tail(&controls->asked, asked);
    return asked->id;
}

/* (transfer full) (nullable) */
static KdAsked *
take_asked(KdControls *controls, uint32_t id)
{
    for (GList *item = controls->asked.head; item != NULL; item = item->next) {
        KdAsked *asked = item->data;

        if (asked->id == id) {
            g_queue_delete_link(&controls->asked, item);
            return asked;
        }
    }
    return NULL;
}

/**
 * kd_controls_take_error:
 * @controls: what was asked for
 * @id: of the operation; one that was not asked for is left alone
 * @error: why it can't be done
 *
 * Answers an operation that was refused.
 */
void
kd_controls_take_error(KdControls *controls, uint32_t id, const GError *error)
{
    g_autofree KdAsked *asked = take_asked(controls, id);

    if (asked != NULL) {
        asked->fn(0, NULL, error, asked->user);
    }
}

/**
 * kd_controls_take_result:
 * @controls: what was asked for
 * @result: of an operation; one that was not asked for is left alone
 *
 * Answers an operation.
 */
void
kd_controls_take_result(KdControls *controls, const KdResult *result)
{
    g_autofree KdAsked *asked = take_asked(controls, result->id);
    const char *text = result->text != NULL && *result->text != '\0' ? result->text : NULL;
    g_autoptr(GError) error = NULL;

    if (asked == NULL) {
        return;
    }
    if (result->code != 0) {
        g_set_error_literal(&error, KD_ERROR, (gint)(result->code - 1),
                            text != NULL ? text : "the operation has failed");
        text = NULL;
    }
    asked->fn(result->value, text, error, asked->user);
}

/**
 * kd_controls_build_refusal:
 * @op: KD_CONTROL_*
 *
 * Returns: (transfer full): %KD_ERROR_NOT_SUPPORTED, with a sentence for the user of a link that
 * does not offer the operation
 */
GError *
kd_controls_build_refusal(uint32_t op)
{
    static const char *const sentences[] = {
        [KD_CONTROL_BREAK] = NO_BREAK,
        [KD_CONTROL_RESET] = "this link can't reset its target",
        [KD_CONTROL_BAUD] = "this link has no speed to set: only a serial line has one",
        [KD_CONTROL_PURGE] = "this link has nothing of its own to drop",
        [KD_CONTROL_STATUS] = "this link tells no status",
        [KD_CONTROL_LINES] = "this link has no modem lines: only a serial port has them",
        [KD_CONTROL_DRAIN] = "this link does not tell when all is sent",
    };
    const char *sentence = op < G_N_ELEMENTS(sentences) ? sentences[op] : NULL;

    return g_error_new_literal(KD_ERROR, KD_ERROR_NOT_SUPPORTED,
                               sentence != NULL ? sentence : "this link does not have that");
}
