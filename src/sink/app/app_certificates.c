/* The certificates that the Kafka client uses: a line a day when one expires soon, or has. */
#include "sink/app/app_state.h"
#include "sink/shared/delays.h"

void app_certificates_init(struct app *a)
{
    certificates_read(a->cfg, &a->certificates);
    a->certificates_at = a->certificates.count > 0 ? 0 : USEC_NEVER;
}

void app_certificates_soon(struct app *a)
{
    if (a->certificates.count > 0) {
        a->certificates_at = 0;
    }
}

void app_certificates_turn(struct app *a, usec_t now)
{
    struct certificates on_disk;
    struct error err;

    if (now < a->certificates_at) {
        return;
    }
    a->certificates_at = now + delay_certificates();
    certificates_read(a->cfg, &on_disk);
    switch (certificates_judge(&a->certificates, &on_disk, clock_wall_ms() / 1000, &err)) {
    case CERTIFICATES_FINE:
        break;
    case CERTIFICATES_EXPIRE:
        log_fault(LOG_certificate_expires, &err);
        break;
    case CERTIFICATES_EXPIRED:
        log_fault(LOG_certificate_expired, &err);
        break;
    }
    certificates_done(&on_disk);
}

usec_t app_certificates_deadline(const struct app *a)
{
    return a->stopping ? USEC_NEVER : a->certificates_at;
}
