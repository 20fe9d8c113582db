-- The role of the services: it reads and writes rows, and owns nothing. The owner's role runs this once, in a new
-- database before the first `tooloo migrate`, or later, in one that is already there:
--   POSTGRES_APP_PASSWORD=… psql -v ON_ERROR_STOP=1 -f deploy/postgres/app-role.sql "$OWNER_DATABASE_URL"
-- What `tooloo migrate` creates afterwards, as the same owner, is granted by the default privileges.

\getenv app_password POSTGRES_APP_PASSWORD
CREATE ROLE tooloo_app LOGIN PASSWORD :'app_password' NOSUPERUSER NOCREATEDB NOCREATEROLE;

GRANT USAGE ON SCHEMA public TO tooloo_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tooloo_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO tooloo_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tooloo_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO tooloo_app;
