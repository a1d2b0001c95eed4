-- What is fixed for the whole installation, and where customers live whose payment number is not their own number.

CREATE TABLE installation (
    only_row boolean NOT NULL DEFAULT true,
    partitions integer NOT NULL,
    currency text NOT NULL,
    initialised_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT installation_key PRIMARY KEY (only_row),
    CONSTRAINT installation_has_one_row CHECK (only_row),
    CONSTRAINT installation_partitions_valid CHECK (partitions BETWEEN 1 AND 100),
    CONSTRAINT installation_currency_valid CHECK (currency ~ '^[A-Z]{3}$')
);

-- Insert-only: a customer's home is permanent. Customers who are not here pay under their own number.
CREATE TABLE payment_number (
    customer_no text NOT NULL,
    payment_no text NOT NULL,
    CONSTRAINT payment_number_key PRIMARY KEY (customer_no),
    CONSTRAINT payment_number_differs CHECK (payment_no <> customer_no AND payment_no <> '')
);

GRANT SELECT ON installation TO busbar_gateway, busbar_night;
GRANT SELECT, INSERT ON payment_number TO busbar_gateway;
