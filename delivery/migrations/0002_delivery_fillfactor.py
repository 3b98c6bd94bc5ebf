from django.db import migrations


class Migration(migrations.Migration):
    """Room in each page for the next version of its rows.

    A delivery's row is updated two or more times (claim, record). With 30 % of a page kept free the
    claim is a heap-only update: no index is touched, and no page is split.
    """

    dependencies = [("delivery", "0001_initial")]

    operations = [
        migrations.RunSQL(
            "ALTER TABLE delivery_delivery SET (fillfactor = 70)",
            "ALTER TABLE delivery_delivery RESET (fillfactor)",
        )
    ]
