/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a session's end becomes an error and an exit status. */
#include "kd-outcome.h"

static const struct {
    uint32_t close_code;
    KdError error;
    const char *text; /* where the server says nothing */
} OUTCOMES[] = {
    {KD_CLOSE_GOING_AWAY, KD_ERROR_FAILED, "the server is ending"},
    {KD_CLOSE_AUTH_FAILED, KD_ERROR_AUTH, "authentication failed"},
    {KD_CLOSE_DENIED, KD_ERROR_POLICY, "the server does not allow this link"},
    {KD_CLOSE_BUSY, KD_ERROR_BUSY, "the target is in use"},
    {KD_CLOSE_TAKEN_OVER, KD_ERROR_FAILED, "another client has taken the session over"},
    {KD_CLOSE_TARGET_LOST, KD_ERROR_LINK_LOST, "the target is lost"},
    {KD_CLOSE_PROTOCOL_ERROR, KD_ERROR_PROTOCOL, "the server saw a protocol error"},
    {KD_CLOSE_FLOW_VIOLATION, KD_ERROR_PROTOCOL, "the server saw a flow violation"},
    {KD_CLOSE_TIMEOUT, KD_ERROR_FAILED, "the server has waited too long"},
    {KD_CLOSE_LIMIT, KD_ERROR_FAILED, "a limit of the server is reached"},
    {KD_CLOSE_KICKED, KD_ERROR_FAILED, "the server's operator has ended the session"},
    {KD_CLOSE_VERSION, KD_ERROR_ABI,
     "The client is not using same version of remoting protocol as the server"},
    {KD_CLOSE_SESSION_UNKNOWN, KD_ERROR_FAILED, "the server does not know the session"},
    {KD_CLOSE_INTERNAL, KD_ERROR_FAILED, "the server has failed"},
    {KD_CLOSE_OPEN_FAILED, KD_ERROR_FAILED, "the target could not be opened"},
    {KD_CLOSE_BAD_REQUEST, KD_ERROR_PARAM_INVALID, "the server does not accept trans="},
    {KD_CLOSE_NOT_SUPPORTED, KD_ERROR_NOT_SUPPORTED, "the server can't do this"},
};

/**
 * kd_outcome_from_close:
 * @close: what the server said last
 * @is_opened: it had opened a link before; nothing ends in good order that has not begun, least of
 *    all by the word of somebody who may have proved nothing yet
 * @error: return location
 *
 * Judges the end of a session. The server's own sentence is kept.
 *
 * Returns: %TRUE for an end that is none of an error; else %FALSE with %KD_ERROR
 */
gboolean
kd_outcome_from_close(const KdClose *close, gboolean is_opened, GError **error)
{
    KdError code = KD_ERROR_FAILED;
    const char *text = "the server has ended the session";

    if (close->code == KD_CLOSE_NORMAL || close->code == KD_CLOSE_TARGET_CLOSED) {
        if (!is_opened) {
            g_set_error_literal(error, KD_ERROR, KD_ERROR_PROTOCOL,
                                "the server has ended before there was a session");
        }
        return is_opened;
    }
    for (size_t i = 0; i < G_N_ELEMENTS(OUTCOMES); i++) {
        if (OUTCOMES[i].close_code == close->code) {
            code = OUTCOMES[i].error;
            text = OUTCOMES[i].text;
        }
    }
    if (close->text != NULL && *close->text != '\0') {
        text = close->text;
    }
    if (code == KD_ERROR_AUTH) {
        kd_outcome_set_auth_error(error, "%s", text);
    } else {
        g_set_error_literal(error, KD_ERROR, (gint)code, text);
    }
    return FALSE;
}

/**
 * kd_outcome_set_auth_error:
 * @error: return location
 * @format: why there is no authentication
 * @...: for @format
 *
 * Sets %KD_ERROR_AUTH with the code that is documented for it.
 */
void
kd_outcome_set_auth_error(GError **error, const char *format, ...)
{
    va_list args;
    g_autofree char *text = NULL;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    g_set_error(error, KD_ERROR, KD_ERROR_AUTH, "Error 0x80004005: %s", text);
}

/**
 * kd_outcome_get_status:
 * @error: (nullable): how it ended
 *
 * Returns: the exit status: what is wrong with a string is the user's to mend, here as on the
 * server
 */
int
kd_outcome_get_status(const GError *error)
{
    if (error == NULL) {
        return KD_EXIT_CLEAN;
    }
    if (error->domain == KD_ERROR &&
        (error->code == KD_ERROR_PARAM_UNKNOWN || error->code == KD_ERROR_PARAM_MISSING ||
         error->code == KD_ERROR_PARAM_INVALID)) {
        return KD_EXIT_USAGE;
    }
    return KD_EXIT_FAILED;
}
