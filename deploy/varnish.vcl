# Varnish as a cache in front of two webservers: /etc/varnish/default.vcl. Each of them is started by
#   webserver --port 6789 --trust-proxy ADDRESS-OF-VARNISH --cache-control max-age=60 /srv/www
# Without --cache-control nothing is cached: by default webserver says "no-cache".
vcl 4.1;

import directors;

probe health {
    .request = "OPTIONS / HTTP/1.0" "Connection: close";
    .interval = 1s;
    .window = 3;
    .threshold = 2;
    .initial = 2;
}

backend one { .host = "127.0.0.1"; .port = "6789"; .connect_timeout = 2s; .probe = health; }
backend two { .host = "127.0.0.1"; .port = "6790"; .connect_timeout = 2s; .probe = health; }

sub vcl_init {
    new webservers = directors.round_robin();
    webservers.add_backend(one);
    webservers.add_backend(two);
}

sub vcl_recv {
    set req.backend_hint = webservers.backend();
}

sub vcl_backend_response {
    # A copy that is too old is compared by its entity tag for a day, which costs a 304. It is not used meanwhile.
    set beresp.grace = 0s;
    set beresp.keep = 1d;
}

# A request to a server that has just ended goes to the other one.
sub vcl_backend_error {
    if (bereq.retries == 0) {
        set bereq.backend = webservers.backend();
        return (retry);
    }
}
