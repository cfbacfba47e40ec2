/*
 * termios and the window's size, see terminal.h. Main thread.
 */
#include "host/terminal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

/* Of a terminal whose keys come one by one; the bits that terminal_end sets again. */
#define KEY_MODES (tcflag_t)(ICANON | ECHO)

static bool has_keys(void)
{
    return isatty(STDIN_FILENO) == 1;
}

bool terminal_is_there(void)
{
    return isatty(STDOUT_FILENO) == 1;
}

bool terminal_has_colour(void)
{
    const char *no = getenv("NO_COLOR"); /* https://no-color.org: not empty */
    const char *term = getenv("TERM");

    return terminal_is_there() && (no == NULL || *no == '\0') &&
           !(term != NULL && strcmp(term, "dumb") == 0);
}

static void set_keys(bool one_by_one)
{
    struct termios t;

    if (!has_keys() || tcgetattr(STDIN_FILENO, &t) != 0) {
        return;
    }
    t.c_lflag = one_by_one ? t.c_lflag & ~KEY_MODES : t.c_lflag | KEY_MODES;
    (void) tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

void terminal_begin(void)
{
    set_keys(true);
}

void terminal_end(void)
{
    set_keys(false);
}

struct terminal_size terminal_size(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) {
        return (struct terminal_size){0};
    }
    return (struct terminal_size){.rows = size.ws_row, .columns = size.ws_col};
}

/* Reads what was typed; at the end of the input nothing is typed any more. */
static bool is_q_typed(struct pollfd *keys)
{
    char key;

    if (read(STDIN_FILENO, &key, 1) != 1) {
        keys->fd = -1;
        return false;
    }
    return key == 'q' || key == 'Q';
}

bool terminal_wait_end(int fd, usec_t wait)
{
    usec_t until = clock_mono() + wait;
    struct pollfd fds[] = {{.fd = fd, .events = POLLIN},
                           {.fd = has_keys() ? STDIN_FILENO : -1, .events = POLLIN}};

    for (usec_t now = clock_mono(); now < until; now = clock_mono()) {
        int n = poll(fds, ARRAY_LEN(fds), (int) ((until - now) / USEC_PER_MSEC) + 1);
        if (n > 0 && (fds[0].revents != 0 || (fds[1].revents != 0 && is_q_typed(&fds[1])))) {
            return true;
        }
    }
    return false;
}
