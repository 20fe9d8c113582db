-- The role of the services: it reads and writes rows, and owns nothing. The owner's role runs this once, in a new
-- database before the first `tooloo migrate`, or later, in one that is already there; again, it sets the password anew.
-- It needs CREATEROLE, and POSTGRES_APP_PASSWORD in the environment:
--   POSTGRES_APP_PASSWORD=… psql -v ON_ERROR_STOP=1 -f deploy/postgres/app-role.sql "$OWNER_DATABASE_URL"
-- What `tooloo migrate` creates afterwards, as the same owner, is granted by the default privileges.

\set app_password ''
\getenv app_password POSTGRES_APP_PASSWORD
SELECT :'app_password' = '' AS no_password, EXISTS (SELECT FROM pg_roles WHERE rolname = 'tooloo_app') AS exists \gset
\if :no_password
  DO $$ BEGIN RAISE 'POSTGRES_APP_PASSWORD is empty'; END $$;
\endif
\if :exists
  ALTER ROLE tooloo_app PASSWORD :'app_password';
\else
  CREATE ROLE tooloo_app LOGIN PASSWORD :'app_password' NOSUPERUSER NOCREATEDB NOCREATEROLE;
\endif

GRANT USAGE ON SCHEMA public TO tooloo_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO tooloo_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO tooloo_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO tooloo_app;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE, SELECT ON SEQUENCES TO tooloo_app;

-- which schema this is only the owner may say: made here, where it is not there yet, as Alembic makes it
CREATE TABLE IF NOT EXISTS alembic_version (
    version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY
);
REVOKE INSERT, UPDATE, DELETE ON alembic_version FROM tooloo_app;
