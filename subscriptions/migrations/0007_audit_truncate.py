from django.db import migrations

# TRUNCATE fires no trigger of DELETE.
NOT_EMPTIED = """
CREATE TRIGGER auditentry_is_not_emptied BEFORE TRUNCATE ON subscriptions_auditentry
FOR EACH STATEMENT EXECUTE FUNCTION subscriptions_auditentry_stays()
"""
LIFTED = "DROP TRIGGER auditentry_is_not_emptied ON subscriptions_auditentry"


class Migration(migrations.Migration):

    dependencies = [
        ('subscriptions', '0006_secrets'),
    ]

    operations = [
        migrations.RunSQL(NOT_EMPTIED, LIFTED),
    ]
